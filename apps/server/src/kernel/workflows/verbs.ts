import { Fault } from '@wheelhouse/contract'
import { type Static, Type } from 'typebox'
import type { Artifacts } from '../artifacts/index.ts'
import type { Clock } from '../clock/index.ts'
import { type Db, sql } from '../db/index.ts'
import type { Egress } from '../egress/index.ts'
import { can, type Principal } from '../identity/index.ts'
import { parsePointer, readValue, type Verb, writeValue } from '../jobs/index.ts'
import { memoryName } from '../memory/index.ts'
import { requireMemory } from './memory-reach.ts'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const
const MAX_BODY_BYTES = 1024 * 1024
const MAX_TIMEOUT_S = 300

const HttpInput = Type.Object({
  method: Type.Optional(Type.String({ maxLength: 16 })),
  url: Type.String({ minLength: 1, maxLength: 8192 }),
  headers: Type.Optional(
    Type.Record(Type.String({ maxLength: 256 }), Type.Union([Type.String(), Type.Number(), Type.Boolean()])),
  ),
  body: Type.Optional(Type.Unknown()),
  timeout_sec: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: MAX_TIMEOUT_S })),
  /** One status, several, or ranges such as `200-299`. Default: 200-299. */
  expected_status: Type.Optional(
    Type.Union([
      Type.Integer(),
      Type.String({ maxLength: 64 }),
      Type.Array(Type.Union([Type.Integer(), Type.String({ maxLength: 64 })]), { maxItems: 50 }),
    ]),
  ),
})
const HttpOutput = Type.Object({
  status: Type.Integer(),
  headers: Type.Record(Type.String(), Type.String()),
  body: Type.Unknown(),
})

const StorageInput = Type.Object({
  op: Type.String({ maxLength: 16 }),
  /** In the run's memory: `mem:<memory id>:kv:<key>`. */
  key: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9._-]{1,100}$' })),
  value: Type.Optional(Type.Unknown()),
  ptr: Type.Optional(Type.String({ maxLength: 256 })),
  retention: Type.Optional(Type.String({ maxLength: 16 })),
  content_type: Type.Optional(Type.String({ maxLength: 256 })),
})
const StorageOutput = Type.Object({
  ptr: Type.Optional(Type.String()),
  key: Type.Optional(Type.String()),
  found: Type.Optional(Type.Boolean()),
  value: Type.Optional(Type.Unknown()),
  size_bytes: Type.Optional(Type.Integer()),
})

interface VerbParts {
  db: Db
  clock: Clock
  egress: Egress
  artifacts: Artifacts
  resultLifeMs: number
}

const bad = (message: string): Fault => new Fault('VAL_SCHEMA', {}, { message })

/** What the steps of type `http` and `storage` do (jobs.md 21.1, FIX). Governed like every effect; retries are the step's own. */
export const workflowVerbs = (parts: VerbParts): Verb[] => [httpVerb(parts), storageVerb(parts)] as unknown as Verb[]

function expected(given: Static<typeof HttpInput>['expected_status'], status: number): boolean {
  const each = given === undefined ? ['200-299'] : [given].flat()
  return each.some((one) => {
    const [, from = '', to = from] = /^\s*(\d{3})\s*(?:-\s*(\d{3})\s*)?$/.exec(String(one)) ?? []
    return from !== '' && status >= Number(from) && status <= Number(to)
  })
}

/** What says where a request goes and where it ends is not the step's to say. */
const OWN_HEADERS = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'connection',
  'upgrade',
  'te',
  'trailer',
  'expect',
])

function headerName(name: string): string {
  const lower = name.trim().toLowerCase()
  if (OWN_HEADERS.has(lower)) throw bad(`the header ${lower} is set by the platform; leave it out`)
  return lower
}

const hostOf = (url: string): string => {
  try {
    return new URL(url).hostname
  } catch {
    return ''
  }
}

/** A JSON reply as its value, any other as its text. */
function bodyOf(text: string, contentType: string): unknown {
  if (!/[/+]json\b/i.test(contentType)) return text
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function httpVerb({ egress, clock }: VerbParts): Verb<typeof HttpInput, typeof HttpOutput> {
  return {
    name: 'workflow:http',
    topic: 'job.wh.workflow.http',
    input: HttpInput,
    output: HttpOutput,
    risk: ['network'],
    timeoutMs: MAX_TIMEOUT_S * 1000,
    maxAttempts: 1,
    facts: async (_tx, { url, method = 'GET' }) => ({ host: hostOf(url), url, method: method.toUpperCase() }),
    async perform({ input, signal, deadline }) {
      const method = (input.method ?? 'GET').toUpperCase()
      if (!(METHODS as readonly string[]).includes(method)) throw bad(`method must be one of ${METHODS.join(', ')}`)
      const headers: Record<string, string> = {}
      for (const [name, value] of Object.entries(input.headers ?? {})) headers[headerName(name)] = String(value)
      const plain = typeof input.body === 'string'
      if (input.body !== undefined && input.body !== null && !plain) headers['content-type'] ??= 'application/json'
      const reply = await egress.fetch(input.url, {
        method,
        headers,
        ...(input.body === undefined || input.body === null
          ? {}
          : { body: plain ? (input.body as string) : JSON.stringify(input.body) }),
        timeoutMs: Math.max(1, Math.min((input.timeout_sec ?? 30) * 1000, deadline - clock.now())),
        maxBytes: MAX_BODY_BYTES,
        signal,
      })
      const shown = Object.fromEntries(
        Object.entries(reply.headers).flatMap(([name, value]) =>
          value === undefined || name === 'set-cookie' ? [] : [[name, [value].flat().join(', ')]],
        ),
      )
      if (!expected(input.expected_status, reply.status))
        throw new Fault(
          'EGRESS_FAILED',
          { host: hostOf(reply.url), reason: 'status', status: reply.status },
          { message: `${hostOf(reply.url)} answered ${reply.status}: ${reply.text().slice(0, 500)}` },
        )
      return { status: reply.status, headers: shown, body: bodyOf(reply.text(), shown['content-type'] ?? '') }
    },
    settle: async () => undefined,
  }
}

function storageVerb({
  db,
  clock,
  artifacts,
  resultLifeMs,
}: VerbParts): Verb<typeof StorageInput, typeof StorageOutput> {
  /** Keys belong to the memory of the run (`run:<id>`, or what its input names as `memory_id`): runs of one memory share them. */
  async function keyFor(
    { tenantId, jobId, principal }: { tenantId: string; jobId: string; principal: Principal },
    name: string,
  ): Promise<string> {
    return db.tenant(tenantId, async (tx) => {
      const row = await tx.maybe<{ memory: string | null; runId: string | null }>(
        sql`select request ->> 'memoryId' as memory, run_id as "runId" from jobs where id = ${jobId}`,
      )
      const memory = memoryName(row?.memory ?? 'workflow')
      await requireMemory(tx, principal, memory, [`run:${row?.runId}`, jobId])
      return `mem:${memory.slice(0, 90)}:kv:${name}`
    })
  }

  /** What a run's own jobs left is its own; all else needs the right that its endpoint asks for. */
  async function requireRead(
    { principal, tenantId, jobId }: { principal: Principal; tenantId: string; jobId: string },
    { kind, id }: { kind: string; id: string },
  ): Promise<void> {
    const required = kind === 'artifact' ? 'artifact:read' : 'memory:read'
    if (can(principal, required)) return
    const own = await db.tenant(tenantId, (tx) =>
      tx.maybe(sql`
        select 1 from jobs mine join jobs j on j.run_id = mine.run_id
         where mine.id = ${jobId} and j.id = ${kind === 'result' || kind === 'context' ? id : ''}`),
    )
    if (!own) throw new Fault('PERM_DENIED', { required, roles: principal.roles })
  }

  return {
    name: 'workflow:storage',
    topic: 'job.wh.workflow.storage',
    input: StorageInput,
    output: StorageOutput,
    risk: ['write'],
    timeoutMs: 60_000,
    maxAttempts: 1,
    facts: async (_tx, { op, key = null, ptr = null }) => ({ op, key, ptr }),
    async perform(run) {
      const { principal, tenantId } = run
      const { op, key, value, ptr, retention, content_type: contentType } = run.input
      const place = key === undefined ? '' : await keyFor(run, key)
      switch (op) {
        case 'put': {
          const plain = typeof value === 'string'
          const content = Buffer.from(plain ? value : JSON.stringify(value ?? null))
          if (key !== undefined) {
            const body = Buffer.from(JSON.stringify(value ?? null))
            await db.tenant(tenantId, (tx) => writeValue(tx, place, body, clock.now(), resultLifeMs))
            return { key, ptr: `redis://${place}`, size_bytes: content.length }
          }
          const stored = await artifacts.put(principal, {
            content,
            contentType: contentType ?? (plain ? 'text/plain' : 'application/json'),
            retention: retention === 'short' || retention === 'audit' ? retention : 'standard',
          })
          return { ptr: `redis://art:${stored.id}`, size_bytes: stored.sizeBytes }
        }
        case 'get': {
          const pointer = parsePointer(ptr ?? place)
          if (!pointer) throw bad('storage get needs key or ptr')
          if (ptr !== undefined) await requireRead(run, pointer)
          const content =
            pointer.kind === 'artifact'
              ? (await artifacts.read(tenantId, pointer.id)).content
              : await db.tenant(tenantId, (tx) => readValue(tx, pointer.key, clock.now()))
          if (!content) return { found: false, value: null }
          if (content.length > MAX_BODY_BYTES)
            return { found: true, ptr: `redis://${pointer.key}`, size_bytes: content.length }
          return { found: true, value: parsed(content.toString()), size_bytes: content.length }
        }
        case 'delete': {
          if (key === undefined) throw bad('storage delete needs key; what a pointer names goes with its retention')
          const gone = await db.tenant(tenantId, (tx) => tx.run(sql`delete from job_values where key = ${place}`))
          return { key, found: gone > 0 }
        }
        default:
          throw bad('storage op must be put, get or delete')
      }
    },
    settle: async () => undefined,
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
