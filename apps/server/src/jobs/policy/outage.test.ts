import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startKernel } from '../../composition.ts'
import { sql } from '../../kernel/db/index.ts'
import { openKernel } from '../../kernel/kernel.ts'
import { putDocument } from '../../kernel/policy/index.ts'
import { type CapWorker, capWorker } from '../../testing/cap-worker.ts'
import { startNats } from '../../testing/nats.ts'
import { openWorld, type World } from '../../testing/world.ts'

/**
 * jobs.md 20.7 with its fix: while policy cannot be asked jobs wait; nothing is denied for good, and nothing is allowed. With the
 * real causes: no enabled bundle, and a database that does not give the bundles out.
 */
let world: World
let owner: pg.Client
let bob: string
beforeAll(async () => {
  world = await openWorld()
  owner = new pg.Client({ connectionString: world.databaseUrl })
  await owner.connect()
  bob = await world.person(world.a, 'bob')
})
afterAll(async () => {
  await owner.end()
  await world.close()
})

const HOLD = 'rules:\n  - { id: ask, match: { topics: [job.held] }, decision: require_approval, reason: look }\n'

/** Enables or disables all that the tenant has. */
async function enable(enabled: boolean, tenant = world.a): Promise<void> {
  const { db, clock, policy } = world.kernel
  await db.tenant(tenant.id, async (tx) => {
    await putDocument(tx, clock.now(), { id: 'default', content: 'default_decision: allow\n', enabled })
    await putDocument(tx, clock.now(), { id: 'secops/hold', content: HOLD, enabled })
  })
  await policy.changed(tenant.id)
}

async function submit(topic: string, as = world.a.keys.admin): Promise<string> {
  const { status, body } = await world.call('POST', '/api/v1/jobs', { as, body: { topic, prompt: 'x' } })
  expect(status).toBeLessThan(300)
  return body.job_id
}
const stateOf = async (jobId: string, as = world.a.keys.admin): Promise<string> =>
  (await world.call('GET', `/api/v1/jobs/${jobId}`, { as })).body.state

/** As long as it takes the engine to look at everything again, the job stays where it is. */
async function staysPending(jobId: string, as = world.a.keys.admin): Promise<void> {
  const until = performance.now() + 1500
  while (performance.now() < until) expect(await stateOf(jobId, as)).toBe('PENDING')
}

const workOn = (topic: string, tenant = world.a): Promise<CapWorker> =>
  capWorker(world, tenant, { id: `w-${topic.replaceAll('.', '-')}`, topics: [topic], work: () => ({}) })

test('at the submission: a job waits while no policy is loaded, and goes on when one is', async () => {
  await enable(false)
  const worker = await workOn('job.first')
  const asked = await world.call('POST', '/api/v1/policy/evaluate', { body: { topic: 'job.first' } })
  expect(asked.body).toMatchObject({ decision: 'DECISION_TYPE_DENY', reason: 'no policy loaded' })
  const jobId = await submit('job.first')
  await staysPending(jobId)
  expect(worker.taken).toEqual([])
  await enable(true)
  await expect.poll(() => stateOf(jobId), { timeout: 15_000 }).toBe('SUCCEEDED')
  await worker.close()
})

test('at the submission: a job waits while the bundles cannot be read', async () => {
  // The other tenant's policy was never loaded by this process.
  await owner.query('revoke select on policy_documents from wh_tenant')
  const as = world.b.keys.admin
  const worker = await workOn('job.unread', world.b)
  const jobId = await submit('job.unread', as)
  await staysPending(jobId, as)
  expect(worker.taken).toEqual([])
  await owner.query('grant select on policy_documents to wh_tenant')
  await expect.poll(() => stateOf(jobId, as), { timeout: 15_000 }).toBe('SUCCEEDED')
  await worker.close()
})

test('at the dispatch: a job that was allowed before neither runs nor ends while no policy is loaded', async () => {
  await enable(true)
  const jobId = await submit('job.later')
  await enable(false)
  const worker = await workOn('job.later')
  await staysPending(jobId)
  expect(worker.taken).toEqual([])
  await enable(true)
  await expect.poll(() => stateOf(jobId), { timeout: 15_000 }).toBe('SUCCEEDED')
  expect(worker.taken).toHaveLength(1)
  await worker.close()
})

test('at the approval: it answers 503, the job stays APPROVAL_REQUIRED, and the same approval counts once policy is loaded', async () => {
  await enable(true)
  const worker = await workOn('job.held')
  const jobId = await submit('job.held')
  expect(await stateOf(jobId)).toBe('APPROVAL_REQUIRED')
  await enable(false)
  const approve = () => world.call('POST', `/api/v1/approvals/${jobId}/approve`, { as: bob, body: {} })
  expect(await approve()).toMatchObject({ status: 503, body: { error: 'safety kernel unavailable' } })
  expect(await stateOf(jobId)).toBe('APPROVAL_REQUIRED')
  await enable(true)
  expect((await approve()).status).toBe(200)
  await expect.poll(() => stateOf(jobId), { timeout: 15_000 }).toBe('SUCCEEDED')
  await worker.close()
})

test('bundles that do not compile leave the last good policy in force', async () => {
  await enable(true)
  await world.kernel.db.tenant(world.a.id, async (tx) => {
    await tx.run(sql`update policy_documents set content = 'rules: 3' where id = 'secops/hold'`)
    await tx.run(sql`update policy_heads set revision = revision + 1`)
  })
  await world.kernel.policy.changed(world.a.id)
  expect(await stateOf(await submit('job.held'))).toBe('APPROVAL_REQUIRED')
  const { body } = await world.call('GET', '/wheelhouse/api/v1/policy/settings')
  expect(body.problem).toContain('secops/hold')
  await enable(true)
})

test('at the dispatch after a restart: a job waits while the bundles cannot be read', async () => {
  const nats = await startNats()
  const before = await openWorld({ nats })
  const bundles = new pg.Client({ connectionString: before.databaseUrl })
  await bundles.connect()
  const { config, log, clock } = before.kernel
  const principal = await before.principal(before.a.keys.admin)
  const { jobId } = await before.kernel.jobs.submitBatched(principal, {
    request: { topic: 'job.restart', tenant: principal.tenantSlug, principalId: 'ann' },
    context: '{"prompt":"x"}',
  })
  await before.http.close()
  await before.kernel.close()
  await bundles.query('revoke select on policy_documents from wh_tenant')
  const kernel = await openKernel({ config, databaseUrl: before.databaseUrl, nats, log, clock })
  try {
    await startKernel(kernel)
    const after = { ...before, kernel, principal: (key: string) => kernel.authenticator.opaque(key) }
    const worker = await capWorker(after, before.a, { id: 'w-restart', topics: ['job.restart'], work: () => ({}) })
    const ended = (waitMs: number) => kernel.jobs.wait(before.a.id, jobId, waitMs)
    expect(await ended(2000)).toBeUndefined()
    expect(worker.taken).toEqual([])
    await bundles.query('grant select on policy_documents to wh_tenant')
    expect(await ended(15_000)).toMatchObject({ kind: 'succeeded' })
    expect(worker.taken).toHaveLength(1)
    await worker.close()
  } finally {
    await kernel.close()
    await bundles.end()
    await nats.stop()
  }
})
