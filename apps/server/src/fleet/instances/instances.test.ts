import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sql } from '../../kernel/db/index.ts'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const register = (body: object, as = world.a.keys.viewer) => world.call('POST', '/api/v1/instances', { as, body })
const list = (query: string, as = world.a.keys.viewer) => world.call('GET', `/api/v1/instances?${query}`, { as })

describe('registration by a console', () => {
  test('answers 201 with the instance, and again with the same one', async () => {
    const first = await register({
      name: 'web-1',
      provider: 'fly',
      region: 'ams',
      extensions: ['docker'],
      tags: { env: 'dev' },
    })
    expect(first).toMatchObject({
      status: 201,
      body: {
        name: 'web-1',
        provider: 'fly',
        region: 'ams',
        status: 'RUNNING',
        extensions: ['docker'],
        configHash: null,
      },
    })
    const second = await register({ name: 'web-1', provider: 'aws' })
    expect(second).toMatchObject({
      status: 201,
      body: { id: first.body.id, provider: 'aws', region: null, extensions: [] },
    })
  })

  test('says per field what is wrong with a body', async () => {
    expect(await register({ name: 'Not A Name', provider: 'moon' })).toMatchObject({
      status: 422,
      body: {
        error: 'Validation Error',
        statusCode: 422,
        details: { fieldErrors: { name: [expect.any(String)], provider: [expect.stringContaining('fly')] } },
      },
    })
    expect(await register({})).toMatchObject({
      status: 422,
      body: { details: { fieldErrors: { name: ['is required'] } } },
    })
    expect(await world.call('POST', '/api/v1/instances', { body: '{' })).toMatchObject({
      status: 400,
      body: { error: 'Bad Request' },
    })
  })

  test('gives the name of a broken instance to a new one and keeps its history', async () => {
    const old = await register({ name: 'phoenix', provider: 'docker' })
    await world.kernel.db.tenant(world.a.id, (tx) =>
      tx.run(sql`update instances set status = 'ERROR' where id = ${old.body.id}`),
    )
    const fresh = await register({ name: 'phoenix', provider: 'docker' })
    expect(fresh.body.id).not.toBe(old.body.id)
    expect((await world.call('GET', `/api/v1/instances/${old.body.id}`)).body.status).toBe('ERROR')
  })
})

describe('registration by an agent', () => {
  const agent = { instance_id: 'host.example.net', hostname: 'host.example.net', os: 'linux', arch: 'amd64' }

  test('takes its lenient body and keeps what it leaves out', async () => {
    const body = { ...agent, provider: 'k8s', region: 'fra', agent_version: '1.2.3', extensions: ['node'] }
    const first = await register(body, world.a.keys['system-agent'])
    expect(first).toMatchObject({
      status: 201,
      body: {
        id: 'host.example.net',
        provider: 'kubernetes',
        region: 'fra',
        agentVersion: '1.2.3',
        extensions: ['node'],
      },
    })
    const again = await register({ ...agent, provider: '', region: '', timestamp: '2026-01-01T00:00:00.123456789Z' })
    expect(again).toMatchObject({
      status: 201,
      body: { id: 'host.example.net', provider: 'kubernetes', region: 'fra', extensions: ['node'] },
    })
  })

  test('finds a machine that was in ERROR instead of making a second one', async () => {
    await world.kernel.db.tenant(world.a.id, (tx) =>
      tx.run(sql`update instances set status = 'ERROR' where id = 'host.example.net'`),
    )
    const again = await world.call('POST', '/api/v1/instances/register', { body: { ...agent, provider: 'ssh' } })
    expect(again).toMatchObject({ status: 201, body: { id: 'host.example.net', status: 'RUNNING' } })
  })

  test('keeps the tags that policy reads from callers who do not run the fleet', async () => {
    const body = { ...agent, instance_id: 'guarded', hostname: 'guarded' }
    await register({ ...body, tags: { env: 'production', 'wheelhouse.control-plane': 'true' } }, world.a.keys.operator)
    const changed = await register({ ...body, tags: { env: 'dev', extra: 'x' } }, world.a.keys.developer)
    expect(changed.body.tags).toEqual({ env: 'production', extra: 'x' })
    const overruled = await register({ ...body, tags: { env: 'dev' } }, world.a.keys.operator)
    expect(overruled.body.tags).toEqual({ env: 'dev', extra: 'x' })
  })

  test('two registrations at once make one instance', async () => {
    const body = { instance_id: 'twin', hostname: 'twin', provider: 'ssh' }
    const answers = await Promise.all(Array.from({ length: 8 }, () => register(body)))
    expect(new Set(answers.map((each) => `${each.status} ${each.body.id}`))).toEqual(new Set(['201 twin']))
    expect((await list('search=twin')).body.pagination.total).toBe(1)
  })
})

describe('lists', () => {
  test('filters, searches and pages in the superset envelope', async () => {
    for (const n of [1, 2, 3])
      await register({ name: `page-${n}`, provider: 'e2b', region: 'us-east-1', distro: 'fedora' })
    const page = await list('provider=e2b&region=us-east-1&distro=fedora&status=RUNNING&search=PAGE&pageSize=2')
    expect(page.status).toBe(200)
    expect(page.body.instances.map((each: { name: string }) => each.name)).toEqual(['page-3', 'page-2'])
    expect(page.body.data).toEqual(page.body.instances)
    expect(page.body.pagination).toEqual({ page: 1, limit: 2, pageSize: 2, total: 3, totalPages: 2 })
    expect((await list('search=page&limit=2&page=2')).body.instances).toHaveLength(1)
    expect((await list('search=page&page=9')).body.instances).toEqual([])
    expect(await list('pageSize=101')).toMatchObject({ status: 422, body: { error: 'Validation Error' } })
    expect((await list('provider=moon')).status).toBe(422)
  })

  test('shows nothing of another tenant', async () => {
    const mine = await register({ name: 'private', provider: 'fly' })
    expect((await list('search=private', world.b.keys.admin)).body.instances).toEqual([])
    const path = `/api/v1/instances/${mine.body.id}`
    expect((await world.call('GET', path, { as: world.b.keys.admin })).status).toBe(404)
    expect((await world.call('DELETE', path, { as: world.b.keys.admin })).status).toBe(404)
  })

  test('hides the instances of a team from everyone else but administrators', async () => {
    const { body } = await register({ name: 'secret-team', provider: 'fly' })
    await world.kernel.db.tenant(world.a.id, async (tx) => {
      await tx.run(sql`insert into groups (tenant_id, name) values (${tx.tenantId}, 'payments')`)
      await tx.run(sql`update instances set team_id = 'payments' where id = ${body.id}`)
    })
    const path = `/api/v1/instances/${body.id}`
    expect((await world.call('GET', path, { as: world.a.keys.viewer })).status).toBe(404)
    expect((await world.call('DELETE', path, { as: world.a.keys.operator })).status).toBe(404)
    expect((await list('search=secret-team')).body.pagination.total).toBe(0)
    expect((await register({ name: 'secret-team', provider: 'aws' })).status).toBe(409)
    expect((await world.call('GET', path)).body).toMatchObject({ teamId: 'payments', lastHeartbeat: null })
    await world.kernel.db.tenant(world.a.id, (tx) =>
      tx.run(
        sql`insert into group_members (tenant_id, group_name, principal_id) values (${tx.tenantId}, 'payments', ${world.a.adminId})`,
      ),
    )
    world.kernel.authenticator.forget()
    expect((await world.call('GET', path, { as: world.a.keys.viewer })).status).toBe(200)
  })
})

describe('leaving the fleet', () => {
  test('deregisters without touching the machine, and says when it cannot', async () => {
    const { body } = await register({ name: 'leaver', provider: 'fly' })
    const path = `/api/v1/instances/${body.id}`
    const left = await world.call('DELETE', path, { as: world.a.keys.operator })
    expect(left).toMatchObject({ status: 200, body: { message: 'Instance deregistered', id: body.id, name: 'leaver' } })
    expect((await world.call('GET', path)).body.status).toBe('STOPPED')
    const { body: history } = await world.call('GET', `${path}/events`)
    expect(history.events.map((each: { type: string }) => each.type)).toEqual(['DESTROY', 'DEPLOY'])
    expect(history.events[0].metadata).toMatchObject({ infra_torn_down: false })
    await world.kernel.db.tenant(world.a.id, (tx) =>
      tx.run(sql`update instances set status = 'DESTROYED' where id = ${body.id}`),
    )
    expect((await world.call('DELETE', path)).status).toBe(409)
  })

  test('refuses what it has no driver for and changes nothing', async () => {
    const { body } = await register({ name: 'cloudy', provider: 'fly' })
    const path = `/api/v1/instances/${body.id}`
    for (const action of ['suspend', 'destroy', 'backup']) {
      expect(await world.call('POST', `${path}/${action}`)).toMatchObject({
        status: 422,
        body: { code: 'PROVIDER_DRIVER_MISSING', message: expect.stringContaining("provider 'fly'") },
      })
    }
    expect((await world.call('DELETE', `${path}?destroy=true`)).status).toBe(422)
    expect(await world.call('POST', `${path}/resume`)).toMatchObject({
      status: 409,
      body: { error: 'Conflict', message: expect.stringContaining('RUNNING') },
    })
    expect((await world.call('GET', path)).body).toMatchObject({ status: 'RUNNING', updatedAt: body.updatedAt })
    const bulk = await world.call('POST', '/api/v1/instances/bulk-action', {
      body: { instanceIds: [body.id, 'nobody'], action: 'suspend' },
    })
    expect(bulk).toMatchObject({
      status: 200,
      body: {
        results: [
          { id: body.id, success: false },
          { id: 'nobody', success: false },
        ],
        summary: { failed: 2 },
      },
    })
    const { body: lifecycle } = await world.call('GET', `${path}/lifecycle`)
    expect(lifecycle).toMatchObject({ status: 'RUNNING', availableActions: ['suspend', 'destroy', 'backup'] })
    expect(lifecycle.actions).toHaveLength(4)
  })
})

test('rebuilds the configuration of an instance as YAML', async () => {
  const { body } = await register({
    name: 'yaml',
    provider: 'fly',
    region: 'ams',
    distro: 'ubuntu',
    extensions: ['a:b'],
  })
  const { body: answer } = await world.call('GET', `/api/v1/instances/${body.id}/config`)
  expect(answer.config).toBe(
    'version: "3.0"\nname: yaml\ndeployment:\n  provider: fly\ndistro: ubuntu\nextensions:\n  active:\n    - "a:b"\n  auto_install: true\nproviders:\n  fly:\n    region: ams\n',
  )
})
