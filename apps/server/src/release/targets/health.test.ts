import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, createServer as createTcp, type Server as TcpServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { enrolAgent } from '../../kernel/agents/index.ts'
import { sql } from '../../kernel/db/index.ts'
import { putDocument } from '../../kernel/policy/index.ts'
import { RealAgent, until } from '../../testing/agents.ts'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
let environmentId: string
let count = 0
const servers: (Server | TcpServer)[] = []
const agents: RealAgent[] = []

beforeAll(async () => {
  world = await openWorld()
  const made = await world.call('POST', '/api/v1/environments', {
    body: { name: 'home', displayName: 'Home', orderIndex: 0, config: { agentLabels: ['zone=a'] } },
  })
  environmentId = made.body.data.id
})
afterAll(async () => {
  await Promise.all(agents.map((agent) => agent.remove()))
  for (const server of servers) server.close()
  await world.close()
})

async function portOf(server: Server | TcpServer): Promise<number> {
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  return (server.address() as AddressInfo).port
}
const http = (handler: RequestListener): Promise<number> => portOf(createServer(handler))

async function target(over: object): Promise<string> {
  count += 1
  const made = await world.call('POST', '/api/v1/targets', {
    body: { environmentId, name: `target-${count}`, connection: {}, ...over },
  })
  expect(made.status, JSON.stringify(made.body)).toBe(201)
  return made.body.data.id
}

const check = (id: string, body: object = { timeout: 5 }, as = world.a.keys.operator) =>
  world.call('POST', `/api/v1/targets/${id}/health-check`, { as, body })

const checked = async (over: object) => (await check(await target(over))).body.data

const ssh = (port: number) => ({
  type: 'ssh_host',
  connection: { host: '127.0.0.1', port, username: 'deploy', privateKeyRef: 'vault://ssh#key' },
})

describe('a place that the server reaches itself', () => {
  test('docker: the engine’s ping, and the version of its API', async () => {
    const port = await http((request, response) =>
      response.writeHead(request.url === '/_ping' ? 200 : 404, { 'api-version': '1.43' }).end('OK'),
    )
    const endpoint = `tcp://127.0.0.1:${port}`
    expect(await checked({ type: 'docker_host', connection: { endpoint, apiVersion: '1.41' } })).toMatchObject({
      status: 'healthy',
      checks: [
        { name: 'connect', ok: true },
        { name: 'ping', ok: true },
        { name: 'api-version', ok: true },
      ],
    })
    expect(await checked({ type: 'docker_host', connection: { endpoint, apiVersion: '1.50' } })).toMatchObject({
      status: 'degraded',
    })
  })

  test('ssh: the server’s name for itself; what says nothing is no SSH server', async () => {
    const server = await portOf(createTcp((socket) => socket.write('hello\r\nSSH-2.0-Test_1\r\n')))
    expect(await checked(ssh(server))).toMatchObject({
      status: 'healthy',
      checks: [
        { name: 'connect', ok: true },
        { name: 'banner', ok: true, message: 'SSH-2.0-Test_1' },
      ],
    })
    const other = await portOf(createTcp((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')))
    expect(await checked(ssh(other))).toMatchObject({
      status: 'unhealthy',
      checks: [{ ok: true }, { name: 'banner', ok: false }],
    })
    const silent = await portOf(createTcp(() => undefined))
    const id = await target(ssh(silent))
    expect((await check(id, { timeout: 1 })).body.data).toMatchObject({ status: 'unhealthy' })
  })

  test('winrm and nomad: what their services answer', async () => {
    const winrm = await http((request, response) => response.writeHead(request.url === '/wsman' ? 401 : 500).end())
    const connection = {
      host: '127.0.0.1',
      port: winrm,
      useTls: false,
      username: 'x',
      passwordRef: 'y',
      authType: 'ntlm',
    }
    expect(await checked({ type: 'winrm_host', connection })).toMatchObject({ status: 'healthy' })
    const nomad = await http((request, response) => {
      const answers: Record<string, string> = {
        '/v1/status/leader': '"10.0.0.1:4647"',
        '/v1/job/web?namespace=default': '{}',
      }
      response.writeHead(answers[request.url ?? ''] ? 200 : 404).end(answers[request.url ?? ''])
    })
    const at = (job: string) => ({ type: 'nomad_job', connection: { address: `http://127.0.0.1:${nomad}`, job } })
    expect(await checked(at('web'))).toMatchObject({ status: 'healthy' })
    expect(await checked(at('gone'))).toMatchObject({
      status: 'unhealthy',
      checks: [{ ok: true }, { ok: true }, { name: 'job', ok: false }],
    })
  })

  test('a service of its own is looked at too, and degrades it', async () => {
    const server = await portOf(createTcp((socket) => socket.write('SSH-2.0-x\r\n')))
    const service = await http((_request, response) => response.writeHead(503).end())
    const healthCheck = { type: 'http', port: service, path: '/ready' }
    expect(await checked({ ...ssh(server), healthCheck })).toMatchObject({
      status: 'degraded',
      checks: [{ ok: true }, { ok: true }, { name: 'service', ok: false, message: 'GET /ready answered 503' }],
    })
    expect(await checked({ ...ssh(server), healthCheck: { ...healthCheck, expectedStatus: [503] } })).toMatchObject({
      status: 'healthy',
    })
  })

  test('memory does what its labels say', async () => {
    expect(await checked({ type: 'memory' })).toMatchObject({ status: 'healthy' })
    expect(await checked({ type: 'memory', labels: { 'sim.fail': 'health' } })).toMatchObject({ status: 'unhealthy' })
  })
})

test('an unreachable place is 200 and unhealthy; its status, time and message are kept, and a change is told once', async () => {
  const gone = await http(() => undefined)
  servers.pop()?.close()
  const id = await target(ssh(gone))
  const first = await check(id)
  expect(first).toMatchObject({ status: 200, body: { data: { targetId: id, status: 'unhealthy' } } })
  await check(id)
  const read = await world.call('GET', `/api/v1/targets/${id}`)
  expect(read.body.data).toMatchObject({
    healthStatus: 'unhealthy',
    lastHealthCheck: expect.any(String),
    lastHealthMessage: expect.stringContaining('ECONNREFUSED'),
    version: 1,
  })
  const events = await world.kernel.db.tenant(world.a.id, (tx) =>
    tx.many(sql`
      select 1 from (select body ->> 'type' as type, body -> 'resource' ->> 'id' as id from outbox
        union all select type, resource_id from events) as every where type = 'target.health_changed' and id = ${id}`),
  )
  expect(events).toHaveLength(1)
})

test('private networks are reached only where the installation allows it', async () => {
  const report = await checked({ ...ssh(22), connection: { ...ssh(22).connection, host: '10.255.255.1' } })
  expect(report).toMatchObject({
    status: 'unhealthy',
    checks: [{ name: 'connect', ok: false, message: expect.stringContaining('egress.allow') }],
  })
})

describe('a place that an agent looks at', () => {
  const compose = { type: 'compose_host', connection: { projectDirectory: '/' } }

  test('422 while no agent can', async () => {
    expect(await check(await target(compose))).toMatchObject({ status: 422, body: { error: { code: 'AGT_OFFLINE' } } })
  })

  test('any online agent that is able and rightly labelled runs the look', async () => {
    const real = new RealAgent()
    agents.push(real)
    // What stands for docker on a machine that has none: it answers as docker does.
    const bin = join(real.dir, 'bin')
    mkdirSync(bin)
    writeFileSync(
      join(bin, 'docker'),
      '#!/bin/sh\n[ "$1" = compose ] && [ "$4" = ls ] && echo "$3" && exit 0\necho broken >&2; exit 1\n',
    )
    chmodSync(join(bin, 'docker'), 0o755)
    const { agentId, token } = await world.kernel.db.tenant(world.a.id, (tx) =>
      enrolAgent(tx, world.kernel.clock.now(), { name: 'looker', labels: { zone: 'a' } }),
    )
    const env = { WHEELHOUSE_AGENT_ID: 'looker', PATH: `${bin}:${process.env['PATH']}` }
    real.start(Number(new URL(world.url).port), token, env)
    await until('the agent', async () => {
      const rows = await world.kernel.db.tenant(world.a.id, (tx) =>
        tx.many(sql`select 1 from agents where id = ${agentId} and liveness = 'online'`),
      )
      return rows.length === 1
    })
    await world.kernel.db.tenant(world.a.id, (tx) =>
      tx.run(sql`update agents set capabilities = capabilities || '{docker,compose}' where id = ${agentId}`),
    )
    const named = { type: 'compose_host', connection: { projectDirectory: '/', projectName: 'shop' } }
    expect(await checked(named)).toMatchObject({
      status: 'healthy',
      checks: [
        { name: 'agent', ok: true },
        { name: 'compose', ok: true, message: 'shop' },
      ],
      agent: { id: agentId, status: 'online' },
    })
    const socket = { type: 'docker_host', connection: { endpoint: 'unix:///var/run/docker.sock' } }
    expect(await checked(socket)).toMatchObject({
      status: 'unhealthy',
      checks: [{ ok: true }, { name: 'docker', ok: false, message: 'broken' }],
    })
    await world.kernel.db.tenant(world.a.id, (tx) =>
      tx.run(sql`update agents set labels = '{"zone":"b"}' where id = ${agentId}`),
    )
    expect((await check(await target(named))).status).toBe(422)
    expect((await check(await target({ ...named, agentId }))).body.data.status).toBe('healthy')
  })
})

describe('policy', () => {
  test('denies, and holds, before anything is looked at', async () => {
    const rule = (id: string, name: string, decision: string) =>
      `  - id: ${id}\n    match: {topics: [job.wh.release.target.*], facts: {target.name: ${name}}}\n    decision: ${decision}\n    reason: said so\n`
    const content = `version: "1"\nrules:\n${rule('no', 'forbidden', 'deny')}${rule('ask', 'asked', 'require_approval')}`
    await world.kernel.db.tenant(world.a.id, (tx) =>
      putDocument(tx, world.kernel.clock.now(), { id: 'secops/targets', content, enabled: true }),
    )
    const [forbidden, asked] = [
      await target({ type: 'memory', name: 'forbidden' }),
      await target({ type: 'memory', name: 'asked' }),
    ]
    await until('the policy', async () => (await check(forbidden)).status === 403)
    expect(await check(forbidden)).toMatchObject({ status: 403, body: { error: { code: 'PERM_DENIED' } } })
    const held = await check(asked)
    expect(held).toMatchObject({
      status: 200,
      body: { data: { targetId: asked, status: 'unknown', checkedAt: null, approvalRequired: true } },
    })
    expect(held.headers.get('x-wheelhouse-job')).toBe(held.body.data.jobId)
  })
})
