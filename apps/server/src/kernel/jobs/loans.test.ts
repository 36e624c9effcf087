import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { capWorker, type CapWorker } from '../../testing/cap-worker.ts'
import { openWorld, type World } from '../../testing/world.ts'
import { ids } from '../clock/index.ts'
import { sql } from '../db/index.ts'
import type { Principal } from '../identity/index.ts'
import { openFair } from './fair.ts'
import { openLiveness } from './liveness.ts'
import { type Loan, openLoans, type Place } from './loans.ts'
import type { Claimed } from './queue.ts'
import { insertJobs, microseconds, type NewRow } from './store.ts'
import type { StepJob } from './submission.ts'

let world: World
let worker: CapWorker
let principal: Principal

beforeAll(async () => {
  world = await openWorld()
  principal = await world.principal(world.a.keys.admin)
  // It takes jobs and never answers, so that their claims stay as they were made.
  worker = await capWorker(world, world.a, { id: 'lender' })
  worker.heartbeat({ capabilities: ['job.lent', 'job.few'], maxParallelJobs: 6 })
  await vi.waitFor(() => expect(world.kernel.jobs.workers.live(world.a.id)).toHaveLength(1), 5000)
})
afterAll(async () => {
  await worker.close()
  await world.close()
})

interface QueueRow {
  state: string
  fence: number
  worker_id: string | null
  /** Claimed with its submission, not after it. */
  lent: boolean
}

const rowOf = (id: string): Promise<QueueRow | undefined> =>
  world.kernel.db.tenant(world.a.id, (tx) =>
    tx.maybe<QueueRow>(sql`
      select q.state, q.fence, q.worker_id, q.started_at is not distinct from j.created_at as lent from job_queue q join jobs j using (tenant_id, id)
       where q.id = ${id}`),
  )

async function submit(topic: string, more: object = {}): Promise<string> {
  const made = await world.kernel.jobs.submitBatched(principal, {
    request: { topic, tenant: principal.tenantSlug, principalId: principal.subject, ...more },
    context: '{}',
  })
  return made.jobId
}

/** Sets or lifts a brake, and has the dispatcher know of it. */
async function post(path: string): Promise<void> {
  expect((await world.call('POST', `/wheelhouse/api/v1/${path}`, { body: {} })).status).toBe(200)
  await world.kernel.jobs.brakes.fresh(world.a.id)
}

test('a job for which a worker is free is recorded as claimed, and gets its configuration like any other', async () => {
  await world.call('POST', '/api/v1/config', {
    body: { scope: 'team', scope_id: 'lenders', data: { models: { small: 'm2' } } },
  })
  const id = await submit('job.lent', { env: { team_id: 'lenders' } })
  expect(await rowOf(id)).toMatchObject({ state: 'leased', fence: 1, worker_id: 'lender', lent: true })
  const arrived = () => worker.taken.find(({ request }) => request.jobId === id)?.request
  await expect.poll(arrived, { timeout: 10_000 }).toBeDefined()
  expect(arrived()).toMatchObject({ attempt: 1, env: { CORDUM_EFFECTIVE_CONFIG: expect.any(String) } })
  expect(JSON.parse(arrived()?.env['CORDUM_EFFECTIVE_CONFIG'] ?? '')).toMatchObject({ models: { small: 'm2' } })
})

/** Slots of the worker that are taken, as this replica counts them. */
const taken = (): number | undefined => world.kernel.jobs.workers.live(world.a.id)[0]?.inFlight

test('a step’s job is recorded as claimed with its run, and a transaction that comes to nothing frees the place', async () => {
  const step = (): StepJob => ({
    jobId: ids.next(),
    request: { topic: 'job.lent', tenant: principal.tenantSlug, principalId: principal.subject },
    context: '{}',
    step: { runId: ids.next(), key: 'one' },
  })
  const { jobs, db } = world.kernel
  const before = taken() ?? 0
  const [kept, dropped] = [step(), step()]
  await db.tenant(world.a.id, async (tx) => {
    expect(await jobs.submitMany(tx, principal, [kept])).toEqual([{ state: 'ready' }])
    expect(taken()).toBe(before + 1)
  })
  expect(await rowOf(kept.jobId)).toMatchObject({ state: 'leased', fence: 1, worker_id: 'lender', lent: true })
  await expect
    .poll(() => worker.taken.some(({ request }) => request.jobId === kept.jobId), { timeout: 10_000 })
    .toBe(true)
  await expect(
    db.tenant(world.a.id, async (tx) => {
      await jobs.submitMany(tx, principal, [dropped])
      expect(taken()).toBe(before + 2)
      throw new Error('the turn fails')
    }),
  ).rejects.toThrow('the turn fails')
  expect(taken()).toBe(before + 1)
  expect(await rowOf(dropped.jobId)).toBeUndefined()
})

test('what is paused, drained or placed elsewhere is not lent', async () => {
  await post('queues/topic/job.lent/pause')
  expect(await rowOf(await submit('job.lent'))).toMatchObject({ state: 'paused', fence: 0 })
  await post('queues/pool/default/pause')
  expect(await rowOf(await submit('job.few'))).toMatchObject({ state: 'ready', fence: 0 })
  await post('queues/pool/default/resume')
  await post('workers/lender/drain')
  expect(await rowOf(await submit('job.few', { labels: { a: '1' } }))).toMatchObject({ state: 'ready', fence: 0 })
  await post('workers/lender/undrain')
})

test('a worker is lent no more slots than it has, and of one concurrency key no more run than may', async () => {
  const labels = { 'concurrency.key': 'lent', 'concurrency.limit': '1' }
  const keyed = [await submit('job.few', { labels }), await submit('job.few', { labels })]
  const states = async () => (await Promise.all(keyed.map(rowOf))).map((row) => row?.state).sort()
  await expect.poll(states, { timeout: 10_000 }).toEqual(['blocked', 'leased'])
  const more = await Promise.all(Array.from({ length: 12 }, () => submit('job.few')))
  const leased = async () =>
    (
      await world.kernel.db.tenant(world.a.id, (tx) =>
        tx.one<{ n: number }>(
          sql`select count(*)::int as n from job_queue where state = 'leased' and worker_id = 'lender'`,
        ),
      )
    ).n
  await expect.poll(leased, { timeout: 10_000 }).toBe(6)
  expect((await Promise.all(more.map(rowOf))).some((row) => row?.state === 'ready')).toBe(true)
})

const OWNER = 77

function newRow(): NewRow {
  const id = ids.next()
  const now = world.kernel.clock.now()
  return {
    id,
    traceId: id,
    at: now,
    us: microseconds(now),
    n: 5_000_000,
    principal,
    request: { topic: 'job.unit', tenant: principal.tenantSlug, principalId: principal.subject },
    context: null,
    decision: {
      decision: 'ALLOW',
      reason: '',
      ruleId: '',
      ruleDigest: '',
      source: '',
      snapshot: 's',
      constraints: null,
      approvalRequired: false,
      approvalRef: '',
      approval: null,
      remediations: [],
    },
    decisionId: ids.next(),
    facts: null,
    step: null,
    jobHash: null,
    approvalId: null,
    executor: { kind: 'worker', id: null },
    pool: '~job.unit',
    queue: { state: 'ready', runAt: null, lease: null },
    maxAttempts: 1,
    timeoutMs: 60_000,
    deadline: null,
    ended: null,
  }
}

function lender(more: { waits?: boolean; place?: Place | undefined } = {}) {
  const held: number[] = []
  const begun: Claimed[] = []
  const served: number[] = []
  const lend = openLoans({
    ...world.kernel,
    fair: { ...openFair(world.kernel), served: (_line, n) => void served.push(n) },
    owner: OWNER,
    waits: () => more.waits === true,
    choose: () => ('place' in more ? more.place : { worker: null, account: 'ACCOUNT' }),
    hold: (_pool, _tenant, _place, by) => void held.push(by),
    begin: async (_route, claimed) => void begun.push(...claimed),
    isActive: () => false,
  })
  return { lend, held, begun, served }
}

test('only ready jobs of workers are lent to, where nothing waits and there is room', () => {
  const ready = newRow()
  const { lend } = lender()
  expect(lend({ ...ready, queue: { state: 'waiting', runAt: 1, lease: null } })).toBeUndefined()
  expect(lend({ ...ready, queue: { state: 'paused', runAt: null, lease: null } })).toBeUndefined()
  expect(lend({ ...ready, queue: null })).toBeUndefined()
  expect(lend({ ...ready, approvalId: ids.next() })).toBeUndefined()
  expect(lend({ ...ready, request: { ...ready.request, verb: 'x' } })).toBeUndefined()
  expect(lender({ waits: true }).lend(ready)).toBeUndefined()
  expect(lender({ place: undefined }).lend(ready)).toBeUndefined()
  expect(lend({ ...ready, deadline: ready.at + 5 })?.lease).toMatchObject({ owner: OWNER, expiresAt: ready.at + 5 })
})

test('a loan that goes moves virtual time on and begins once; one that is not needed frees its place', async () => {
  const { lend, held, begun, served } = lender()
  const row = newRow()
  lend(row)?.go()
  await vi.waitFor(() => expect(begun).toMatchObject([{ id: row.id, fence: 1, attempt: 1, n: row.n }]))
  expect(served).toEqual([row.n])
  // By a topic it is counted anew as it begins.
  expect(held).toEqual([1, -1])
  lend(newRow())?.back()
  expect(held).toEqual([1, -1, 1, -1])
  expect(begun).toHaveLength(1)
})

test('where nobody knows whether it was recorded, it is given back, but not what another replica has claimed since', async () => {
  const { lend, held } = lender()
  // Both replicas live, or the sweep would free what they hold.
  const alive = [
    await openLiveness(world.kernel.db, world.kernel.log, OWNER),
    await openLiveness(world.kernel.db, world.kernel.log, OWNER + 1),
  ]
  const [mine, theirs] = [newRow(), newRow()]
  const loans: Loan[] = []
  for (const [row, owner] of [
    [mine, OWNER],
    [theirs, OWNER + 1],
  ] as const) {
    const loan = lend(row)
    if (!loan || !row.queue) throw new Error('it was not lent')
    loans.push(loan)
    await world.kernel.db.engine((tx) =>
      insertJobs(tx, [
        { ...row, queue: { ...row.queue, state: 'ready', runAt: null, lease: { ...loan.lease, owner } } },
      ]),
    )
  }
  // Theirs first: once ours is back, it was looked at too.
  for (const loan of loans.toReversed()) loan.lost()
  expect(held).toEqual([1, 1, -1, -1])
  await expect.poll(async () => (await rowOf(mine.id))?.state, { timeout: 10_000 }).not.toBe('leased')
  expect(await rowOf(theirs.id)).toMatchObject({ state: 'leased', fence: 1 })
  for (const each of alive) await each.close()
})
