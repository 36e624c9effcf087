import { afterAll, beforeAll, expect, test } from 'vitest'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const PATH = '/wheelhouse/api/v1/tenant/settings'
const NONE = { approvals: { allowSelf: null }, retention: { jobsMs: null, deadLettersMs: null } }
const change = (body: object, as = world.a.keys.admin) => world.call('PATCH', PATH, { body, as })

test('nothing is decided at first; what is changed stays, the rest and the other tenant as they were', async () => {
  expect((await world.call('GET', PATH)).body).toEqual(NONE)
  const jobsMs = 7 * 86_400_000
  expect(await change({ retention: { jobsMs } })).toMatchObject({
    status: 200,
    body: { ...NONE, retention: { jobsMs } },
  })
  expect((await change({ approvals: { allowSelf: false } })).body.retention).toEqual({ jobsMs, deadLettersMs: null })
  expect((await change({ retention: { jobsMs: null }, approvals: { allowSelf: null } })).body).toEqual(NONE)
  expect((await world.call('GET', PATH, { as: world.b.keys.admin })).body).toEqual(NONE)
})

test('a time that is too short is refused, and only administrators change anything', async () => {
  expect(await change({ retention: { jobsMs: 1000 } })).toMatchObject({ status: 400 })
  expect(await change({ approvals: { allowSelf: true } }, world.a.keys.operator)).toMatchObject({ status: 403 })
  expect((await world.call('GET', PATH)).body).toEqual(NONE)
})

test('who asks may approve where the tenant says so, and not a moment longer', async () => {
  await world.call('PUT', '/api/v1/policy/bundles/secops~held', {
    body: { enabled: true, content: 'rules:\n  - {match: {topics: [job.held]}, decision: require_approval}\n' },
  })
  const approveOwn = async () => {
    const { job_id: id } = (await world.call('POST', '/api/v1/jobs', { body: { topic: 'job.held', prompt: 'x' } })).body
    return (await world.call('POST', `/api/v1/approvals/${id}/approve`, { body: {} })).status
  }
  expect(await approveOwn()).toBe(403)
  await change({ approvals: { allowSelf: true } })
  expect(await approveOwn()).toBe(200)
  await change({ approvals: { allowSelf: null } })
  expect(await approveOwn()).toBe(403)
})
