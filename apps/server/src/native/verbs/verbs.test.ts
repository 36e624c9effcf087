import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { enrolAgent } from '../../kernel/agents/index.ts'
import { sql } from '../../kernel/db/index.ts'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
  const { a, kernel } = world
  for (const id of ['web', 'prod']) await world.call('POST', '/api/v1/instances', { body: { instance_id: id } })
  // A label that was given here, which the machine itself does not say.
  await kernel.db.tenant(a.id, async (tx) => {
    const { agentId } = await enrolAgent(tx, kernel.clock.now(), { name: 'prod', labels: { env: 'production' } })
    await tx.run(sql`update instances set agent_id = ${agentId} where id = 'prod'`)
  })
})
afterAll(() => world.close())

const preview = (input: unknown, as = world.a.keys.developer) =>
  world.call('POST', '/wheelhouse/api/v1/verbs/command:execute/preview', { as, body: { input } })

describe('what policy would say', () => {
  test('is told on the facts of the machine itself, and nothing is recorded', async () => {
    expect(await preview({ instanceId: 'web', command: 'uptime' })).toMatchObject({
      status: 200,
      body: { decision: 'ALLOW' },
    })
    expect(await preview({ instanceId: 'prod', command: 'uptime' })).toMatchObject({
      body: { decision: 'REQUIRE_APPROVAL', rule: 'production-exec' },
    })
    const denied = await preview({ instanceId: 'web', command: 'rm', args: ['-rf', '/'] })
    expect(denied.body).toMatchObject({ decision: 'DENY', rule: 'destroys-filesystem' })
    expect(denied.body.why).toContain('destroys-filesystem')
    expect(denied.body.trace).toContainEqual(expect.objectContaining({ rule: 'destroys-filesystem', matched: true }))
    const { body } = await world.call('GET', '/api/v1/jobs')
    expect(body.items).toEqual([])
  })

  test('is refused for input that does not fit, machines that are not there and verbs that one may not use', async () => {
    expect((await preview({ command: 'uptime' })).status).toBe(400)
    expect((await preview({ instanceId: 'nobody', command: 'uptime' })).status).toBe(404)
    expect((await preview({ instanceId: 'web', command: 'uptime' }, world.a.keys.viewer)).status).toBe(403)
    expect((await preview({ instanceId: 'web', command: 'uptime' }, world.b.keys.admin)).status).toBe(404)
    const unknown = await world.call('POST', '/wheelhouse/api/v1/verbs/no:such/preview', { body: { input: {} } })
    expect(unknown.status).toBe(404)
  })
})

test('lists the verbs that the caller may use, with what they take', async () => {
  const names = async (as: string) =>
    ((await world.call('GET', '/wheelhouse/api/v1/verbs', { as })).body.items as { name: string }[]).map(
      ({ name }) => name,
    )
  expect(await names(world.a.keys.admin)).toContain('command:execute')
  expect(await names(world.a.keys.viewer)).not.toContain('command:execute')
})
