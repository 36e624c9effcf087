import { readdir, readFile } from 'node:fs/promises'
import autocannon from 'autocannon'
import type { Ground } from './ground.ts'

/** A clock tick of /proc. */
const TICK_MS = 10

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

/** What /proc says of a process after its name. */
async function statOf(pid: number | string | undefined): Promise<string[]> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
}

/** CPU time of a process so far, in milliseconds (Linux). */
export async function cpuOf(pid: number | undefined): Promise<number> {
  const fields = await statOf(pid)
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS
}

/** Of a process and its children, ended ones included; 0 when nobody is there. */
async function cpuOfFamily(pid: number): Promise<number> {
  let sum = 0
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const fields = await statOf(name).catch((): string[] => [])
    if (Number(name) === pid) sum += Number(fields[11]) + Number(fields[12]) + Number(fields[13]) + Number(fields[14])
    else if (Number(fields[1]) === pid) sum += Number(fields[11]) + Number(fields[12])
  }
  return sum * TICK_MS
}

/** What the server, PostgreSQL and the bus have used so far, in milliseconds. */
export interface Used {
  server: number
  postgres: number
  nats: number
}

export async function used(ground: Ground, second?: number): Promise<Used> {
  return {
    server: (await cpuOf(ground.server.pid)) + (second === undefined ? 0 : await cpuOf(second)),
    postgres: await cpuOfFamily(ground.postgresPid),
    nats: await cpuOf(ground.natsPid),
  }
}

/** Microseconds of each for one of `count` things that were done between the two readings. */
export const perThing = (before: Used, after: Used, count: number): Used => ({
  server: ((after.server - before.server) * 1000) / count,
  postgres: ((after.postgres - before.postgres) * 1000) / count,
  nats: ((after.nats - before.nats) * 1000) / count,
})

export const usedText = ({ server, postgres, nats }: Used): string =>
  `server ${server.toFixed(0)} µs, PostgreSQL ${postgres.toFixed(0)} µs, bus ${nats.toFixed(0)} µs`

/** CPU time that the server has used, in milliseconds. */
export const cpuMs = ({ server }: Ground): Promise<number> => cpuOf(server.pid)

/** Resident memory of the server in MiB (Linux). */
export async function residentMib({ server }: Ground): Promise<number> {
  const status = await readFile(`/proc/${server.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024
}
