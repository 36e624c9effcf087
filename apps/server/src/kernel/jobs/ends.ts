import { ids, type Instant } from '../clock/index.ts'
import { at, instants, jsonb, sql, storable, texts, type Tx, words } from '../db/index.ts'
import type { Actor } from '../identity/index.ts'
import type { TerminalState } from './jobs.ts'
import type { JobRequest } from './request.ts'
import { byKey } from './queue.ts'
import { microseconds } from './store.ts'
import { wireStatus } from './state.ts'

/** A result off the bus, to be written with others. */
export interface EndItem {
  tenantId: string
  id: string
  /** Of the claim that it answers; 0 when the worker does not echo it. */
  fence: number
  /** The sender's account; '' when the platform itself ends the job. */
  account: string
  /** '' when the sender does not say. */
  workerId: string
  state: TerminalState
  resultPtr: string
  code: string
  message: string
  at: Instant
}

export interface EndedRow {
  tenantId: string
  id: string
  traceId: string
  topic: string
  pool: string
  workerId: string | null
  fence: number
  /** It did not end: the attempt failed and another follows. */
  retry: boolean
  attempt: number
  /** The run that it is a step of. */
  runId: string | null
}

export const SYSTEM_ACTOR: Actor = {
  kind: 'system',
  id: '00000000-0000-7000-8000-000000000000',
  name: 'Wheelhouse',
  onBehalfOf: [],
}

// The input is carried through every step, so that each joins one table by its primary key.
const END = `
with input as (
  select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::timestamptz[],
    $11::bigint[], $12::text[], $13::uuid[])
  as i(tenant_id, id, fence, account, worker_id, state, result_ptr, code, message, at, us, status, event_id)
), mine as (
  select i.tenant_id, i.id, i.state, i.result_ptr, i.code, i.message, i.at, i.us, i.status, i.event_id, i.worker_id as sender,
    i.state in ('failed', 'timed_out') and q.attempt < q.max_attempts as retry,
    q.attempt, q.started_at, q.worker_id, q.pool, q.fence
  from input i cross join lateral (
    select * from job_queue q
    where q.tenant_id = i.tenant_id and q.id = i.id and q.pool <> 'wh'
      and (q.state = 'leased' or (q.state = 'ready' and q.recoveries > 0))
      -- A result that does not say which claim it answers must not end a later attempt: one comes at the earliest 800 ms after the other.
      and (i.fence <> 0 or q.started_at is null or i.at >= q.started_at - interval '500 milliseconds')
      and (i.fence = 0 or i.fence = q.fence)
      and (i.account = '' or q.account is null or q.account = i.account)
      and (i.fence <> 0 or i.worker_id = '' or q.worker_id is null or q.worker_id = i.worker_id)
    for update) q
), gone as (
  delete from job_queue q using mine m where m.tenant_id = q.tenant_id and m.id = q.id and not m.retry returning m.*
), ended as (
  update jobs j set state = g.state, updated_us = g.us, ended_at = g.at, started_at = g.started_at, attempts = g.attempt,
    worker_id = coalesce(nullif(g.sender, ''), g.worker_id), result_ptr = nullif(g.result_ptr, ''), error_code = nullif(g.code, ''),
    error_message = nullif(g.message, '')
  from gone g where j.tenant_id = g.tenant_id and j.id = g.id
  returning g.*, j.trace_id, j.topic, j.worker_id as ended_by, j.run_id, j.step_key
), told as (
  insert into run_inbox (tenant_id, run_id, kind, step_key, job_id)
  select tenant_id, run_id, 'job-ended', step_key, id from ended where run_id is not null
), dead as (
  insert into dead_letters (tenant_id, job_id, topic, status, reason, reason_code, last_state, attempts, created_at, us)
  select tenant_id, id, topic, status, message, code, 'RUNNING', attempt, at, us from ended where state <> 'succeeded'
  on conflict (tenant_id, job_id) do update set status = excluded.status, reason = excluded.reason, reason_code = excluded.reason_code,
    last_state = excluded.last_state, attempts = excluded.attempts, created_at = excluded.created_at, us = excluded.us
), boxed as (
  insert into outbox (tenant_id, id, kind, at, body)
  select tenant_id, event_id, 'event', at, jsonb_build_object('type', 'job.' || state, 'actor', $14::jsonb,
    'resource', jsonb_build_object('kind', 'job', 'id', id), 'correlationId', trace_id, 'schema', 1,
    'data', jsonb_strip_nulls(jsonb_build_object('topic', topic, 'traceId', trace_id, 'workerId', ended_by, 'attempts', attempt,
      'resultPtr', nullif(result_ptr, ''), 'code', nullif(code, ''), 'message', nullif(message, ''))))
  from ended
)
select tenant_id as "tenantId", id, trace_id as "traceId", topic, pool, ended_by as "workerId", fence, attempt, false as retry, run_id as "runId" from ended
union all
select tenant_id, id, '', '', pool, worker_id, fence, attempt, true, null from mine where retry`

/**
 * Ends jobs of workers: the first terminal result of the current claim wins, all others change nothing (decisions D5, fencing).
 * Removes the queue rows, writes records, dead letters and events in one statement. Returns those that ended now, and those whose
 * attempt failed while more are allowed.
 */
export async function endJobs(tx: Pick<Tx, 'query'>, given: readonly EndItem[]): Promise<EndedRow[]> {
  const first = new Map<string, EndItem>()
  for (const item of given) {
    const key = `${item.tenantId} ${item.id} ${item.fence} ${item.account}`
    if (!first.has(key)) first.set(key, item)
  }
  // Two results for one job in one batch (of two claims, say) would meet in one statement: the rest waits for the next.
  const seen = new Set<string>()
  const now: EndItem[] = []
  const later: EndItem[] = []
  for (const item of first.values()) {
    const key = `${item.tenantId} ${item.id}`
    if (seen.has(key)) later.push(item)
    else {
      seen.add(key)
      now.push(item)
    }
  }
  now.sort(byKey)
  const word = (pick: (item: EndItem) => string | number): string => words(now.map(pick))
  const { rows } = await tx.query<EndedRow & Record<string, unknown>>(END, [
    word(({ tenantId }) => tenantId),
    word(({ id }) => id),
    word(({ fence }) => fence),
    word(({ account }) => account),
    word(({ workerId }) => workerId),
    word(({ state }) => state),
    word(({ resultPtr }) => resultPtr),
    word(({ code }) => code.slice(0, 200)),
    texts(now.map(({ message }) => message.slice(0, 8000))),
    instants(now.map((item) => item.at)),
    word((item) => microseconds(item.at)),
    word(({ state }) => wireStatus(state)),
    word(() => ids.next()),
    JSON.stringify(SYSTEM_ACTOR),
  ])
  return later.length === 0 ? rows : [...rows, ...(await endJobs(tx, later))]
}

export interface EndOne {
  id: string
  /** Absent: whatever claim there is. */
  fence?: number
  state: TerminalState
  code?: string
  message?: string
  /** JSON text of a verb's output. */
  result?: string | null
  actor: Actor
  now: Instant
}

export interface EndedOne {
  traceId: string
  topic: string
  request: JobRequest
  verb: string | null
  context: string | null
  /** The run that it is a step of. */
  runId: string | null
  createdAt: Instant
  startedAt: Instant | null
  /** Who was working on it, as far as it must be told. */
  workerId: string | null
  account: string | null
  fence: number
  attempt: number
  wasLeased: boolean
}

/**
 * Ends one job within the caller's tenant transaction; undefined when it has ended already or the claim is another's. The queue row of a
 * job that a worker holds stays as `cancelling` until the worker was told, unless the job ended by the worker's own word.
 */
export async function endOne(tx: Tx, end: EndOne): Promise<EndedOne | undefined> {
  const { id, now, state } = end
  const message = end.message === undefined ? undefined : storable(end.message, 8000)
  const queue = await tx.maybe<{
    state: string
    fence: number
    attempt: number
    worker_id: string | null
    account: string | null
    started_at: Instant | null
  }>(sql`
    select state, fence, attempt, worker_id, account, started_at from job_queue where id = ${id} and state <> 'cancelling' for update`)
  if (!queue || (end.fence !== undefined && (queue.state !== 'leased' || queue.fence !== end.fence))) return undefined
  const wasLeased = queue.state === 'leased'
  const us = microseconds(now)
  const job = await tx.maybe<{
    trace_id: string
    topic: string
    request: JobRequest
    verb: string | null
    context: string | null
    run_id: string | null
    step_key: string | null
    created_at: Instant
  }>(sql`
    update jobs set state = ${state}, updated_us = ${us}, ended_at = ${at(now)}, started_at = ${at(queue.started_at)},
      attempts = ${wasLeased ? queue.attempt : queue.attempt - 1}, worker_id = ${queue.worker_id}, result = ${end.result ?? null},
      error_code = ${end.code ?? null}, error_message = ${message ?? null}
    where id = ${id} and state = 'open' returning trace_id, topic, request, verb, context, run_id, step_key, created_at`)
  if (!job) throw new Error(`Job ${id} is in the queue although it has ended`)
  if (job.run_id !== null)
    await tx.run(sql`
      insert into run_inbox (tenant_id, run_id, kind, step_key, job_id) values (${tx.tenantId}, ${job.run_id}, 'job-ended', ${job.step_key}, ${id})`)
  if (wasLeased && queue.account !== null && state !== 'succeeded') {
    await tx.run(
      sql`update job_queue set state = 'cancelling', run_at = ${at(now)}, lease_owner = null, lease_until = null where id = ${id}`,
    )
  } else {
    await tx.run(sql`delete from job_queue where id = ${id}`)
  }
  if (state !== 'succeeded' && state !== 'cancelled') {
    await tx.run(sql`
      insert into dead_letters (tenant_id, job_id, topic, status, reason, reason_code, last_state, attempts, created_at, us)
      values (${tx.tenantId}, ${id}, ${job.topic}, ${wireStatus(state)}, ${message ?? ''}, ${end.code ?? ''},
        ${wasLeased ? 'RUNNING' : queue.state === 'held' ? 'APPROVAL_REQUIRED' : 'PENDING'}, ${queue.attempt}, ${at(now)}, ${us})
      on conflict (tenant_id, job_id) do update set status = excluded.status, reason = excluded.reason, reason_code = excluded.reason_code,
        last_state = excluded.last_state, attempts = excluded.attempts, created_at = excluded.created_at, us = excluded.us`)
  }
  const body = {
    type: `job.${state}`,
    actor: end.actor,
    resource: { kind: 'job', id },
    correlationId: job.trace_id,
    data: {
      topic: job.topic,
      traceId: job.trace_id,
      ...(job.verb === null ? {} : { verb: job.verb }),
      ...(end.code === undefined ? {} : { code: end.code }),
      ...(message === undefined ? {} : { message: message.slice(0, 2000) }),
    },
    schema: 1,
  }
  await tx.run(sql`
    insert into outbox (tenant_id, id, kind, at, body) values (${tx.tenantId}, ${ids.next()}, 'event', ${at(now)}, ${jsonb(body)})`)
  return {
    traceId: job.trace_id,
    topic: job.topic,
    request: job.request,
    verb: job.verb,
    context: job.context,
    runId: job.run_id,
    createdAt: job.created_at,
    startedAt: queue.started_at,
    workerId: queue.worker_id,
    account: queue.account,
    fence: queue.fence,
    attempt: queue.attempt,
    wasLeased,
  }
}
