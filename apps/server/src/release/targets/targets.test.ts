import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { enrolAgent } from '../../kernel/agents/index.ts'
import { sql } from '../../kernel/db/index.ts'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
let environmentId: string
let count = 0
beforeAll(async () => {
  world = await openWorld()
  environmentId = await makeEnvironment('home', 0)
})
afterAll(() => world.close())

const path = '/api/v1/targets'

async function makeEnvironment(name: string, orderIndex: number, as = world.a.keys.admin): Promise<string> {
  const { body } = await world.call('POST', '/api/v1/environments', {
    as,
    body: { name, displayName: name, orderIndex },
  })
  return body.data.id
}

const create = (over: object = {}) => {
  count += 1
  const body = { environmentId, name: `target-${count}`, type: 'memory', connection: {}, ...over }
  return world.call('POST', path, { as: world.a.keys.operator, body })
}
const ssh = { host: '203.0.113.9', username: 'deploy', privateKeyRef: 'vault://ssh/deploy#key' }
const put = (id: string, body: object, headers = {}) =>
  world.call('PUT', `${path}/${id}`, { as: world.a.keys.operator, body, headers })

const insertAgent = ({ capabilities, state = 'active' }: { capabilities: string[]; state?: string }): Promise<string> =>
  world.kernel.db.tenant(world.a.id, async (tx) => {
    count += 1
    const { agentId } = await enrolAgent(tx, world.kernel.clock.now(), { name: `agent-${count}` })
    await tx.run(sql`update agents set capabilities = ${capabilities}, state = ${state} where id = ${agentId}`)
    return agentId
  })

describe('registration', () => {
  test('fills the defaults of the connection in and shows no secret', async () => {
    const made = await create({ type: 'ssh_host', connection: ssh, labels: { team: 'core' } })
    expect(made.status).toBe(201)
    expect(made.body.data).toMatchObject({
      environmentId,
      type: 'ssh_host',
      connection: { ...ssh, port: 22, connectionTimeout: 30, sudo: false, privateKeyRef: '***' },
      capabilities: ['ssh'],
      labels: { team: 'core' },
      agentId: null,
      healthStatus: 'unknown',
      lastHealthCheck: null,
      maintenance: false,
      currentRelease: null,
    })
    const read = await world.call('GET', `${path}/${made.body.data.id}`, { as: world.a.keys.viewer })
    expect(read.body.data).toMatchObject({ sticker: null, driftStatus: 'unknown', version: 1 })
    const rows = await world.kernel.db.tenant(world.a.id, (tx) =>
      tx.many<{ text: string }>(
        sql`select targets::text as text from targets union all select outbox::text from outbox union all select audit::text from audit`,
      ),
    )
    expect(rows.filter(({ text }) => text.includes('vault://ssh/deploy'))).toEqual([])
  })

  test('holds the connection against its type', async () => {
    const refused = await create({ type: 'ssh_host', connection: { ...ssh, username: undefined, port: 0, colour: 1 } })
    expect(refused).toMatchObject({
      status: 400,
      body: {
        error: {
          code: 'VAL_SCHEMA',
          validationErrors: [
            { field: 'connection.colour', code: 'unknown' },
            { field: 'connection.port', code: 'min' },
            { field: 'connection.username', code: 'required' },
          ],
        },
      },
    })
    expect((await create({ type: 'winrm_host', connection: ssh })).status).toBe(400)
    expect(await create({ type: 'ssh_host', connection: { ...ssh, privateKeyRef: '***' } })).toMatchObject({
      status: 400,
      body: { error: { validationErrors: [{ field: 'connection.privateKeyRef' }] } },
    })
  })

  test('names are taken within their environment alone', async () => {
    const other = await makeEnvironment('elsewhere', 1)
    await create({ name: 'web' })
    expect(await create({ name: 'web' })).toMatchObject({
      status: 409,
      body: { error: { code: 'RES_DUPLICATE_NAME' } },
    })
    expect((await create({ name: 'web', environmentId: other })).status).toBe(201)
  })

  test('names of other tenants’ things in the body are no references', async () => {
    const foreign = await makeEnvironment('foreign', 0, world.b.keys.admin)
    for (const [field, over] of [
      ['environmentId', { environmentId: foreign }],
      ['agentId', { agentId: foreign }],
      ['targetGroupId', { targetGroupId: foreign }],
    ] as const)
      expect(await create(over)).toMatchObject({
        status: 400,
        body: { error: { validationErrors: [{ field, code: 'reference' }] } },
      })
  })

  test('an agent must be active and able', async () => {
    const able = await insertAgent({ capabilities: ['docker'] })
    const idle = await insertAgent({ capabilities: ['docker'], state: 'inactive' })
    const docker = { type: 'docker_host', connection: { endpoint: 'unix:///var/run/docker.sock' } }
    expect((await create({ ...docker, agentId: able })).body.data.agentId).toBe(able)
    expect(await create({ ...docker, agentId: idle })).toMatchObject({
      status: 422,
      body: { error: { code: 'AGT_NOT_ACTIVE' } },
    })
    expect(await create({ type: 'ssh_host', connection: ssh, agentId: able })).toMatchObject({
      status: 422,
      body: { error: { code: 'AGT_CAPABILITY_MISSING' } },
    })
  })
})

describe('change', () => {
  test('keeps masked secrets, changes members of the connection and clears what is null', async () => {
    const { id } = (await create({ type: 'ssh_host', connection: ssh, displayName: 'Shown', labels: { a: '1' } })).body
      .data
    const stored = () =>
      world.kernel.db.tenant(world.a.id, async (tx) => {
        const row = await tx.one<{ sealed: string }>(sql`select sealed_secrets as sealed from targets where id = ${id}`)
        return JSON.parse(world.kernel.vault.open(row.sealed, `target ${id} connection`))
      })
    const changed = await put(id, {
      connection: { port: 2222, privateKeyRef: '***', hostKeyFingerprint: 'SHA256:x' },
      displayName: null,
      labels: { b: '2' },
      maintenance: true,
    })
    expect(changed.status).toBe(200)
    expect(changed.headers.get('etag')).toBe('"2"')
    expect(changed.body.data).toMatchObject({
      connection: { host: ssh.host, port: 2222, privateKeyRef: '***', hostKeyFingerprint: 'SHA256:x' },
      labels: { b: '2' },
      maintenance: true,
      version: 2,
    })
    expect(changed.body.data).not.toHaveProperty('displayName')
    expect(await stored()).toEqual({ privateKeyRef: ssh.privateKeyRef })
    await put(id, { connection: { privateKeyRef: 'vault://ssh/other#key', hostKeyFingerprint: null } })
    expect(await stored()).toEqual({ privateKeyRef: 'vault://ssh/other#key' })
  })

  test('type and environment stay as they are', async () => {
    const { id } = (await create()).body.data
    const other = await makeEnvironment('third', 2)
    expect((await put(id, { type: 'memory', environmentId })).status).toBe(200)
    for (const body of [{ type: 'ssh_host' }, { environmentId: other }])
      expect(await put(id, body)).toMatchObject({ status: 400, body: { error: { code: 'VAL_IMMUTABLE_FIELD' } } })
    expect(await put(id, { maintenance: true }, { 'if-match': '"9"' })).toMatchObject({
      status: 409,
      body: { error: { code: 'RES_VERSION_CONFLICT' } },
    })
  })
})

test('deletion frees the name and forgets the secrets', async () => {
  const { id } = (await create({ name: 'going', type: 'ssh_host', connection: ssh })).body.data
  const gone = await world.call('DELETE', `${path}/${id}`, { as: world.a.keys.operator })
  expect(gone.body.data).toEqual({ deleted: true })
  expect((await world.call('GET', `${path}/${id}`)).status).toBe(404)
  expect((await create({ name: 'going' })).status).toBe(201)
})

describe('the list', () => {
  test('narrows by each documented parameter', async () => {
    const place = await makeEnvironment('listed', 3)
    const agentId = await insertAgent({ capabilities: ['compose'] })
    const make = async (name: string, over: object) => create({ environmentId: place, name, ...over })
    await make('a', { labels: { zone: 'x', note: 'k:v' } })
    await make('b', { labels: { zone: 'y' } })
    await make('c', { type: 'compose_host', connection: { projectDirectory: '/srv' }, agentId })
    const names = async (query: string) =>
      (await world.call('GET', `${path}?environmentId=${place}&${query}`)).body.data.map(
        ({ name }: { name: string }) => name,
      )
    expect(await names('')).toEqual(['a', 'b', 'c'])
    expect(await names('type=compose_host')).toEqual(['c'])
    expect(await names('type=compose_host,memory&sort=-name')).toEqual(['c', 'b', 'a'])
    expect(await names('type=compose_host&type=memory')).toEqual(['a', 'b', 'c'])
    expect(await names('healthStatus=unknown')).toEqual(['a', 'b', 'c'])
    expect(await names('healthStatus=healthy')).toEqual([])
    expect(await names(`agentId=${agentId}`)).toEqual(['c'])
    expect(await names('label=zone:x')).toEqual(['a'])
    expect(await names('label=zone:x&label=note:k:v')).toEqual(['a'])
    expect(await names('label=zone:x&label=zone:y')).toEqual([])
    expect(await names('sort=-labels.zone')).toEqual(['b', 'a', 'c'])
    expect(await names('sort=labels.zone,-name')).toEqual(['a', 'b', 'c'])
    expect(await names('agentId=nobody')).toEqual([])
    expect(await world.call('GET', `${path}?type=mainframe`)).toMatchObject({
      status: 400,
      body: { error: { validationErrors: [{ field: 'type', code: 'enum' }] } },
    })
  })
})
