import { contract } from '@wheelhouse/contract'
import type { Redis } from 'ioredis'
import { ApiError } from './api-error.ts'
import { createClient } from './client.ts'

/** As long as contexts and results live in a Redis of workers (jobs.md §27). */
const REDIS_LIFE_S = 24 * 3600
/** What the memory endpoint takes; larger results become artifacts. */
const LARGEST_VALUE = 1_500_000

export interface ArtifactOptions {
  contentType?: string
  /** How long it is kept; default `standard`, 7 days. */
  retention?: 'short' | 'standard' | 'audit'
  labels?: Readonly<Record<string, string>>
}

/** Where inputs come from and results go: the API, or a Redis that platform and workers share. */
export interface WorkerStore {
  /** The value behind a pointer of ours; null where there is none, or where the pointer leads elsewhere. */
  read(pointer: string): Promise<unknown>
  /** Stores a job's result and returns the pointer to it: `redis://res:<job>`, or that of an artifact where it is too large. */
  keep(jobId: string, output: unknown): Promise<string>
  /** Uploads a blob and returns its pointer. Needs the API. Throws RangeError beyond `maxBytes`, which policy sets. */
  upload(content: Uint8Array | string, options: ArtifactOptions, maxBytes: number | undefined): Promise<string>
  /** Submits a job and returns its id. Needs the API and the permission `job:submit`. */
  submit(body: Readonly<Record<string, unknown>>, traceparent: string): Promise<string>
  close(): Promise<void>
}

export interface StoreOptions {
  url?: string | undefined
  token?: string | undefined
  redisUrl?: string | undefined
}

/** Opens what the options name; with neither, jobs run without input and their outputs cannot be kept. */
export async function openStore({ url, token, redisUrl }: StoreOptions): Promise<WorkerStore> {
  const api = url === undefined ? undefined : createClient(contract, { url, token: () => token, retries: 5 })
  const redis = redisUrl === undefined ? undefined : await connect(redisUrl)

  function needApi(what: string) {
    if (!api) throw new Error(`${what} needs the server's url: give it to the worker, or set WHEELHOUSE_URL`)
    return api
  }

  async function upload(content: Uint8Array | string, options: ArtifactOptions, maxBytes: number | undefined) {
    const bytes = Buffer.from(content)
    if (maxBytes !== undefined && bytes.length > maxBytes)
      throw new RangeError(`The artifact has ${bytes.length} bytes; policy allows ${maxBytes}`)
    const made = await needApi('An artifact').jobs.artifacts.putArtifact({
      body: {
        content_base64: bytes.toString('base64'),
        ...(options.contentType === undefined ? {} : { content_type: options.contentType }),
        ...(options.retention === undefined ? {} : { retention: options.retention }),
        ...(options.labels === undefined ? {} : { labels: { ...options.labels } }),
      },
      ...(maxBytes === undefined ? {} : { headers: { 'X-Max-Artifact-Bytes': String(maxBytes) } }),
    })
    return made.artifact_ptr
  }

  return {
    upload,
    async read(pointer) {
      if (!pointer.startsWith('redis://')) return null
      const stored = await redis?.get(pointer.slice('redis://'.length))
      if (stored !== undefined && stored !== null) return decoded(stored)
      if (!api) return null
      try {
        const { json, text } = await api.jobs.memory.readMemory({ query: { ptr: pointer } })
        return json ?? text ?? null
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return null
        throw error
      }
    },
    async keep(jobId, output) {
      const text = JSON.stringify(output)
      const pointer = `redis://res:${jobId}`
      if (redis) {
        await redis.set(`res:${jobId}`, text, 'EX', REDIS_LIFE_S)
        return pointer
      }
      if (Buffer.byteLength(text) > LARGEST_VALUE) return upload(text, { contentType: 'application/json' }, undefined)
      try {
        // As text: the client takes a text for JSON that is ready to be sent.
        await needApi('A result').jobs.memory.writeMemory({ query: { ptr: pointer }, body: text })
      } catch (error) {
        // The job has ended otherwise: its result is nobody's any more, and the platform ignores what is told of it.
        if (!(error instanceof ApiError && (error.status === 409 || error.status === 404))) throw error
      }
      return pointer
    },
    async submit(body, traceparent) {
      const made = await needApi('A submission').jobs.jobs.submitJob({
        body,
        ...(traceparent === '' ? {} : { headers: { traceparent } }),
      })
      return made.job_id
    },
    async close() {
      redis?.disconnect()
    },
  }
}

/** Loaded where it is needed: most workers go by the API alone. */
async function connect(url: string): Promise<Redis> {
  const { Redis: Client } = await import('ioredis')
  const redis = new Client(url, { lazyConnect: true, maxRetriesPerRequest: 3 })
  await redis.connect()
  return redis
}

function decoded(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
