import { Type } from 'typebox'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { capWorker, type CapWorker } from '../../testing/cap-worker.ts'
import { openWorld, type World } from '../../testing/world.ts'
import { sql } from '../db/index.ts'
import type { Principal } from '../identity/index.ts'
import type { Verb } from './verb.ts'

let world: World
let alice: Principal
let bob: Principal
let carol: Principal
let worker: CapWorker
const settled = new Map<string, string>()

const Nothing = Type.Object({})
const guarded: Verb<typeof Nothing, typeof Nothing> = {
  name: 'thing:guard',
  topic: 'job.wh.test.thing.guard',
  input: Nothing,
  output: Nothing,
  risk: ['write'],
  timeoutMs: 5000,
  maxAttempts: 1,
  facts: async () => ({ size: 3 }),
  perform: async () => ({}),
  async settle(_tx, jobId, _input, end) {
    settled.set(jobId, end.kind)
  },
}

/** A second person with an administrator's key. */
const person = async (name: string): Promise<Principal> => world.principal(await world.person(world.a, name))

async function policy(rules: string): Promise<void> {
  const content = `version: "1"\nrules:\n${rules}`
  await world.publish('secops/test', content)
}

const hold = (more = ''): string =>
  `  - {id: ask, match: {topics: [job.held, job.wh.test.*]}, decision: require_approval, reason: needs a look${more}}\n`

beforeAll(async () => {
  world = await openWorld()
  world.kernel.jobs.register(guarded)
  alice = await world.principal(world.a.keys.admin)
  bob = await person('bob')
  carol = await person('carol')
  worker = await capWorker(world, world.a, { id: 'w', topics: ['job.held', 'job.free'], work: () => ({}) })
})
afterAll(async () => {
  await worker.close()
  await world.close()
})

const submit = (topic = 'job.held') =>
  world.kernel.jobs.submitBatched(alice, {
    request: { topic, tenant: alice.tenantSlug, principalId: 'alice' },
    context: '{"prompt":"x"}',
  })
const wait = (jobId: string, ms = 10_000) => world.kernel.jobs.wait(world.a.id, jobId, ms)
const approve = (by: Principal, jobId: string) =>
  world.kernel.db.tenant(world.a.id, (tx) => world.kernel.jobs.holds.approve(tx, by, jobId, { reason: 'fine' }))
const reject = (by: Principal, jobId: string) =>
  world.kernel.db.tenant(world.a.id, (tx) => world.kernel.jobs.holds.reject(tx, by, jobId, { reason: 'no' }))

test('a held job runs when somebody else approves it, and never before', async () => {
  await policy(hold())
  const { jobId, state } = await submit()
  expect(state).toBe('held')
  expect(await wait(jobId, 300)).toBeUndefined()
  await expect(approve(alice, jobId)).rejects.toMatchObject({ code: 'PERM_SELF_APPROVAL' })
  await approve(bob, jobId)
  expect(await wait(jobId)).toMatchObject({ kind: 'succeeded' })
  expect(worker.taken.at(-1)?.request.labels).toMatchObject({ approval_granted: 'true', approval_reason: 'fine' })
  await expect(approve(carol, jobId)).rejects.toMatchObject({
    code: 'RES_CONFLICT',
    message: 'job not awaiting approval',
  })
})

test('a rejected job ends as denied and tells its verb', async () => {
  const held = await world.kernel.jobs.submitAndWait(alice, guarded, {}, { waitMs: 1000 })
  expect(held).toMatchObject({ state: 'held' })
  await reject(bob, held.jobId)
  expect(await wait(held.jobId)).toMatchObject({ kind: 'denied', code: 'approval_rejected', message: 'no' })
  expect(settled.get(held.jobId)).toBe('denied')
})

test('two of two must agree, and one person counts once', async () => {
  await policy(hold(', approval: {required: 2}'))
  const { jobId } = await submit()
  await approve(bob, jobId)
  await approve(bob, jobId)
  expect(await wait(jobId, 300)).toBeUndefined()
  await approve(carol, jobId)
  expect(await wait(jobId)).toMatchObject({ kind: 'succeeded' })
})

test('a rule that names roles lets nobody else decide', async () => {
  await policy(hold(', approval: {roles: [security]}'))
  const { jobId } = await submit()
  await expect(approve(bob, jobId)).rejects.toMatchObject({ code: 'PERM_APPROVER' })
  await policy(hold())
})

test('who asked may approve where the rule or the tenant says so', async () => {
  await policy(hold(', approval: {allow_self: true}'))
  const { jobId } = await submit()
  await approve(alice, jobId)
  expect(await wait(jobId)).toMatchObject({ kind: 'succeeded' })
  await policy(hold())
})

test('an approval nobody gives in time ends the job', async () => {
  const { jobId } = await submit()
  await world.kernel.db.engine((tx) =>
    tx.run(sql`update approvals set expires_at = now() - interval '1 second' where ref_id = ${jobId}`),
  )
  expect(await wait(jobId)).toMatchObject({ kind: 'denied', code: 'approval_timeout' })
})

test('when policy changed meanwhile, its present word counts at the approval', async () => {
  const freed = await submit()
  await policy('  - {id: other, match: {topics: [job.nothing]}, decision: deny}\n')
  await approve(bob, freed.jobId)
  expect(await wait(freed.jobId)).toMatchObject({ kind: 'succeeded' })

  await policy(hold())
  const refused = await submit()
  await policy('  - {id: no, match: {topics: [job.held]}, decision: deny, reason: not any more}\n')
  await approve(bob, refused.jobId)
  expect(await wait(refused.jobId)).toMatchObject({ kind: 'denied', message: 'not any more' })
})

test('votes given under other terms do not count', async () => {
  await policy(hold(', approval: {required: 2}'))
  const { jobId } = await submit()
  await approve(bob, jobId)
  await policy(hold(', approval: {required: 2, roles: [admin]}'))
  await approve(carol, jobId)
  expect(await wait(jobId, 300)).toBeUndefined()
  await approve(bob, jobId)
  expect(await wait(jobId)).toMatchObject({ kind: 'succeeded' })
})

test('a job that waited while policy came to deny it does not run', async () => {
  await policy('  - {id: other, match: {topics: [job.nothing]}, decision: deny}\n')
  const late = await submit('job.later')
  await policy('  - {id: no, match: {topics: [job.later]}, decision: deny, reason: too late}\n')
  const taker = await capWorker(world, world.a, { id: 'later', topics: ['job.later'], work: () => ({}) })
  expect(await wait(late.jobId)).toMatchObject({ kind: 'denied', message: 'too late' })
  expect(taker.taken).toHaveLength(0)
  await taker.close()
})

test('a denied job is recorded, and a synchronous caller hears the rule and why', async () => {
  await policy('  - {id: no, match: {topics: [job.wh.test.*]}, decision: deny, reason: never}\n')
  let prepared = false
  const refusal = world.kernel.jobs.submitAndWait(
    alice,
    guarded,
    {},
    {
      waitMs: 1000,
      prepare: async () => {
        prepared = true
      },
    },
  )
  await expect(refusal).rejects.toMatchObject({ code: 'POLICY_DENIED', details: { rule: 'no', why: 'never' } })
  expect(prepared).toBe(false)
  const rows = await world.kernel.db.tenant(world.a.id, (tx) =>
    tx.many(sql`select state, error_code from jobs where verb = 'thing:guard' and error_code = 'safety_denied'`),
  )
  expect(rows).toEqual([{ state: 'denied', error_code: 'safety_denied' }])
})

test('a throttled job waits and is decided again; a throttled synchronous call leaves nothing behind', async () => {
  await policy('  - {id: slow, match: {topics: [job.free, job.wh.test.*]}, decision: throttle, reason: too many}\n')
  const { jobId, state } = await submit('job.free')
  expect(state).toBe('throttled')
  await expect(world.kernel.jobs.submitAndWait(alice, guarded, {}, { waitMs: 10 })).rejects.toMatchObject({
    code: 'POLICY_THROTTLED',
    status: 429,
  })
  await policy(hold())
  await world.kernel.db.engine((tx) => tx.run(sql`update job_queue set run_at = now() where id = ${jobId}`))
  expect(await wait(jobId)).toMatchObject({ kind: 'succeeded' })
})

test('the approval binds exactly the request: one that was tampered with neither can be approved nor runs', async () => {
  await policy(hold())
  const before = await submit()
  await world.kernel.db.engine((tx) =>
    tx.run(sql`update jobs set context = '{"prompt":"other"}' where id = ${before.jobId}`),
  )
  await expect(approve(bob, before.jobId)).rejects.toMatchObject({
    message: 'job request changed; approval rejected',
    extra: { code: 'approval_stale_request' },
  })
})
