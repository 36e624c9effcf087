import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
/** Another person's key: all built-in ones belong to one. */
let bob: string
beforeAll(async () => {
  world = await openWorld()
  bob = await world.person(world.a, 'bob')
  await world.call('POST', '/api/v1/workflows', {
    as: world.a.keys.admin,
    body: { id: 'ask', steps: { sure: { type: 'approval', name: 'Are you sure?' } } },
  })
  await world.call('PUT', '/api/v1/policy/bundles/secops~held', {
    as: world.a.keys.admin,
    body: {
      enabled: true,
      content:
        'rules:\n  - id: ask-first\n    match: { topics: ["job.risky"] }\n    decision: require_approval\n    reason: risky\n',
    },
  })
})
afterAll(() => world.close())

const list = async (as = world.a.keys.operator, query = '') =>
  (await world.call('GET', `/wheelhouse/api/v1/inbox${query}`, { as })).body

async function heldJob(): Promise<string> {
  const { body } = await world.call('POST', '/api/v1/jobs', {
    as: world.a.keys.user,
    body: { topic: 'job.risky', prompt: 'do it' },
  })
  return body.job_id as string
}

async function waitingRun(): Promise<string> {
  const { body } = await world.call('POST', '/api/v1/workflows/ask/runs', {
    as: world.a.keys.user,
    body: {},
  })
  return body.run_id as string
}

const itemOf = async (member: 'jobId' | 'runId', id: string) =>
  (await list()).items.find((item: Record<string, unknown>) => item[member] === id)

describe('the one inbox', () => {
  test('shows held jobs and waiting steps beside each other, newest first, to their tenant alone', async () => {
    const jobId = await heldJob()
    const runId = await waitingRun()
    const { items } = await list()
    expect(items[0]).toMatchObject({ kind: 'step', title: 'ask: Are you sure?', runId, stepId: 'sure', state: 'open' })
    expect(items[1]).toMatchObject({
      kind: 'job',
      title: 'job.risky',
      jobId,
      ruleId: 'ask-first',
      reason: 'risky',
      votes: 0,
    })
    expect((await list(world.b.keys.operator)).items).toEqual([])
    expect(
      await world.call('GET', `/wheelhouse/api/v1/inbox/${items[0].id}`, { as: world.b.keys.operator }),
    ).toMatchObject({ status: 404 })
  })

  test('approves a job with the hash that was shown, and keeps who decided', async () => {
    const item = await itemOf('jobId', await heldJob())
    const decided = await world.call('POST', `/wheelhouse/api/v1/inbox/${item.id}/approve`, {
      as: bob,
      body: { hash: item.hash, reason: 'checked' },
    })
    expect(decided).toMatchObject({ status: 200, body: { state: 'approved', votes: 1 } })
    const { body } = await world.call('GET', `/wheelhouse/api/v1/inbox/${item.id}`, { as: world.a.keys.operator })
    expect(body.cast).toMatchObject([{ vote: 'approve', reason: 'checked' }])
    expect((await list(undefined, '?filter={"state":"approved"}')).items.map(({ id }: { id: string }) => id)).toContain(
      item.id,
    )
    const again = await world.call('POST', `/wheelhouse/api/v1/inbox/${item.id}/reject`, {
      as: world.a.keys.operator,
      body: { hash: item.hash },
    })
    expect(again).toMatchObject({ status: 409 })
  })

  test('a vote for something else than what is asked decides nothing', async () => {
    const item = await itemOf('jobId', await heldJob())
    const stale = await world.call('POST', `/wheelhouse/api/v1/inbox/${item.id}/approve`, {
      as: world.a.keys.operator,
      body: { hash: 'something else' },
    })
    expect(stale).toMatchObject({ status: 409 })
    expect(await itemOf('jobId', item.jobId)).toMatchObject({ state: 'open', votes: 0 })
  })

  test('who asks does not decide, nor does who has no right to', async () => {
    const jobId = await heldJob()
    const item = await itemOf('jobId', jobId)
    for (const as of [world.a.keys.user, world.a.keys.viewer])
      expect(
        await world.call('POST', `/wheelhouse/api/v1/inbox/${item.id}/approve`, { as, body: { hash: item.hash } }),
      ).toMatchObject({ status: 403 })
  })

  test('a step is rejected here, and its run fails', async () => {
    const runId = await waitingRun()
    const item = await itemOf('runId', runId)
    expect(
      await world.call('POST', `/wheelhouse/api/v1/inbox/${item.id}/reject`, {
        as: world.a.keys.operator,
        body: { hash: item.hash, reason: 'not now' },
      }),
    ).toMatchObject({ status: 200, body: { state: 'rejected' } })
    await expect
      .poll(
        async () =>
          (await world.call('GET', `/api/v1/workflow-runs/${runId}`, { as: world.a.keys.viewer })).body.status,
      )
      .toBe('failed')
  })
})
