import { randomUUID } from 'node:crypto'
import { connect, jwtAuthenticator } from '@nats-io/transport-node'
import Fastify from 'fastify'
import pg from 'pg'

/**
 * What is beside us: the least that a durable job service on the same parts can be. One table, one outbox, group commit, core NATS;
 * no tenants, rights, policy, audit, leases, retries. Speaks to its parent: sends its port, ends with it.
 */
const { BARE_DATABASE_URL = '', BARE_NATS_URL = '', BARE_NATS_JWT = '', BARE_NATS_SEED = '' } = process.env

const pool = new pg.Pool({ connectionString: BARE_DATABASE_URL, max: 8 })
await pool.query(`create table if not exists bare_jobs (id uuid primary key, topic text not null, request jsonb not null, state text not null, result jsonb, created_at timestamptz not null);
  create table if not exists bare_outbox (id uuid primary key, body jsonb not null);
  create table if not exists bare_full_jobs (like jobs including all);
  create table if not exists bare_full_queue (like job_queue including all);
  create table if not exists bare_full_decisions (like decisions including all);
  create table if not exists bare_full_events (like events including all);
  create table if not exists bare_full_audit (like audit including all)`)
const nats = await connect({
  servers: BARE_NATS_URL,
  authenticator: jwtAuthenticator(BARE_NATS_JWT, new TextEncoder().encode(BARE_NATS_SEED)),
})

const WINDOW_MS = 2
const BATCH = 500

/** Collects calls and runs them in one statement: when the statement before is done, or after 2 ms; at most two in flight. */
function batching<T>(run: (items: T[]) => Promise<void>): (item: T) => Promise<void> {
  let waiting: { item: T; done: () => void; failed: (error: unknown) => void }[] = []
  let inFlight = 0
  let timer: NodeJS.Timeout | undefined
  async function flush(): Promise<void> {
    timer = undefined
    if (waiting.length === 0 || inFlight >= 2) return
    const batch = waiting.splice(0, BATCH)
    inFlight += 1
    try {
      await run(batch.map(({ item }) => item))
      for (const { done } of batch) done()
    } catch (error) {
      for (const { failed } of batch) failed(error)
    }
    inFlight -= 1
    void flush()
  }
  return (item) =>
    new Promise((done, failed) => {
      waiting.push({ item, done, failed })
      if (waiting.length >= BATCH || inFlight === 0) void flush()
      else timer ??= setTimeout(() => void flush(), WINDOW_MS)
    })
}

/** The rows that a governed job is made of, in tables with the same columns and indexes: no tenants' security, no policy, no chain. */
const ROWS = {
  name: 'bare_rows',
  text: `with i as (select * from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::uuid[]) as x(id, topic, request, n, row_id)),
    j as (insert into bare_full_jobs (tenant_id, id, trace_id, topic, updated_us, created_at, request, context, principal_id, principal_hash, decision_id)
      select $6::uuid, id, id, topic, n, now(), request::jsonb, request, $6, '\\x00', row_id from i),
    q as (insert into bare_full_queue (tenant_id, id, pool, priority, n, state, timeout_ms) select $6, id, topic, 1, n, 'ready', 1000 from i),
    d as (insert into bare_full_decisions (tenant_id, job_id, id, at, decision) select $6, id, row_id, now(), 'ALLOW' from i),
    e as (insert into bare_full_events (tenant_id, seq, id, type, at, resource_kind, resource_id, body, hash)
      select $6, n, row_id, 'job.submitted', now(), 'job', id, request::jsonb, '\\x00' from i)
    insert into bare_full_audit (tenant_id, seq, id, at, actor_kind, actor_id, verb, resource_kind, resource_id, outcome, body, hash)
      select $6, n, row_id, now(), 'key', topic, 'job.submit', 'job', id, 'ok', request::jsonb, '\\x00' from i`,
}
const TENANT = randomUUID()
let rowNumber = 0
const insertRows = batching<Job>(async (jobs) => {
  await pool.query({
    ...ROWS,
    values: [
      jobs.map((job) => job.id),
      jobs.map((job) => job.topic),
      jobs.map((job) => job.request),
      jobs.map(() => (rowNumber += 1)),
      jobs.map((job) => job.id),
      TENANT,
    ],
  })
})

interface Job {
  id: string
  topic: string
  request: string
}

const INSERT = {
  name: 'bare_insert',
  text: `with made as (insert into bare_jobs (id, topic, request, state, created_at)
      select i, t, r::jsonb, 'ready', now() from unnest($1::uuid[], $2::text[], $3::text[]) as x(i, t, r))
    insert into bare_outbox (id, body) select i, r::jsonb from unnest($1::uuid[], $3::text[]) as x(i, r)`,
}

const insertMany = async (jobs: Job[]): Promise<void> => {
  await pool.query({
    ...INSERT,
    values: [jobs.map((job) => job.id), jobs.map((job) => job.topic), jobs.map((job) => job.request)],
  })
}
const insert = batching(insertMany)
const finish = batching<{ id: string; result: string }>(async (ends) => {
  await pool.query({
    name: 'bare_finish',
    text: `update bare_jobs set state = 'done', result = r::jsonb from unnest($1::uuid[], $2::text[]) as x(i, r) where id = i`,
    values: [ends.map(({ id }) => id), ends.map(({ result }) => result)],
  })
})

const app = Fastify({ logger: false })
const read = (body: unknown): Job => ({ id: randomUUID(), topic: 'bench.job', request: JSON.stringify(body) })
app.post('/group', async (request) => {
  const job = read(request.body)
  await insert(job)
  return { job_id: job.id }
})
app.post('/rows', async (request) => {
  const job = read(request.body)
  await insertRows(job)
  return { job_id: job.id }
})
app.post('/single', async (request) => {
  const job = read(request.body)
  await insertMany([job])
  return { job_id: job.id }
})
app.post('/loop', async (request) => {
  const job = read(request.body)
  await insert(job)
  nats.publish('bench.job', JSON.stringify({ id: job.id }))
  return { job_id: job.id }
})
nats.subscribe('bench.result', {
  queue: 'bare',
  callback(_error, message) {
    const { id } = message.json<{ id: string }>()
    void finish({ id, result: message.string() }).then(() => nats.publish('bench.done', id))
  },
})
const address = await app.listen({ port: 0, host: '127.0.0.1' })
process.send?.({ url: address })
process.once('disconnect', () => process.exit(0))
