import { readFile } from 'node:fs/promises'
import autocannon from 'autocannon'
import type { Ground } from './ground.ts'

export interface Load {
  path: string
  method?: 'GET' | 'POST'
  connections: number
  seconds: number
  /** The body of the n-th request. */
  body?: (n: number) => string
  headers?: Record<string, string>
}

export interface Loaded {
  perSecond: number
  p50Ms: number
  p99Ms: number
  failures: number
}

/** Bounded load on the server of this run, on loopback. Any answer that is no 2xx counts as a failure. */
export async function load(
  url: string,
  apiKey: string | undefined,
  { path, method = 'GET', connections, seconds, body, headers }: Load,
): Promise<Loaded> {
  let n = 0
  const result = await autocannon({
    url: `${url}${path}`,
    connections,
    duration: seconds,
    method,
    headers: {
      ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
      ...(body ? { 'content-type': 'application/json' } : {}),
      ...headers,
    },
    ...(body ? { requests: [{ setupRequest: (request) => ({ ...request, body: body((n += 1)) }) }] } : {}),
  })
  return {
    perSecond: result['2xx'] / result.duration,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    failures: result.non2xx + result.errors + result.timeouts,
  }
}

/** One call after another, for latencies of a lone caller; returns milliseconds. */
export async function oneByOne(count: number, call: () => Promise<unknown>): Promise<number[]> {
  const samples: number[] = []
  for (let i = 0; i < count; i += 1) {
    const started = performance.now()
    await call()
    samples.push(performance.now() - started)
  }
  return samples
}

/** `count` calls by `callers` at a time; returns calls a second. */
export async function many(callers: number, count: number, call: (n: number) => Promise<unknown>): Promise<number> {
  let next = 0
  const started = performance.now()
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (next < count) await call((next += 1))
    }),
  )
  return count / ((performance.now() - started) / 1000)
}

/** CPU time that the server has used, in milliseconds (Linux). */
export async function cpuMs({ server }: Ground): Promise<number> {
  const stat = await readFile(`/proc/${server.pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

/** Resident memory of the server in MiB (Linux). */
export async function residentMib({ server }: Ground): Promise<number> {
  const status = await readFile(`/proc/${server.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024
}
