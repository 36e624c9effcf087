import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { RealAgent, until } from '../../testing/agents.ts'
import { enrolAgent } from '../../kernel/agents/index.ts'
import { sql } from '../../kernel/db/index.ts'
import { openWorld, type World } from '../../testing/world.ts'
import { maskedEnv } from './env.ts'
import { commandLine } from './line.ts'

let world: World
const agents: RealAgent[] = []

async function host(name: string, labels: Record<string, string> = {}): Promise<void> {
  const { token } = await world.kernel.db.tenant(world.a.id, (tx) => enrolAgent(tx, Date.now(), { name, labels }))
  agents.push(new RealAgent().start(Number(new URL(world.url).port), token, { WHEELHOUSE_AGENT_ID: name }))
}

beforeAll(async () => {
  world = await openWorld()
  await Promise.all([
    host('h1'),
    host('h2'),
    host('prod', { env: 'production' }),
    host('self', { 'wheelhouse.control-plane': 'true' }),
  ])
  await until('four agents', async () => {
    const rows = await world.kernel.db.tenant(world.a.id, (tx) =>
      tx.many(sql`select 1 from agents join instances on instances.agent_id = agents.id where liveness = 'online'`),
    )
    return rows.length === 4
  })
  await world.call('POST', '/api/v1/instances', { body: { instance_id: 'away' } })
})
afterAll(async () => {
  await Promise.all(agents.map((agent) => agent.remove()))
  await world.close()
})

const run = (body: object, as = world.a.keys.developer) =>
  world.call('POST', '/api/v1/commands', { as, body: { instanceId: 'h1', ...body } })
const get = (path: string, as = world.a.keys.viewer) => world.call('GET', path, { as })

describe('a command', () => {
  test('answers 201 with what the process wrote and how it ended', async () => {
    const answer = await run({ command: 'printf out; printf err >&2; exit 0' })
    expect(answer).toMatchObject({
      status: 201,
      body: {
        instanceId: 'h1',
        userId: world.a.adminId,
        status: 'SUCCEEDED',
        exitCode: 0,
        stdout: 'out',
        stderr: 'err',
        hasScript: false,
        timeoutMs: 30_000,
        completedAt: expect.any(String),
      },
    })
    expect(answer.headers.get('x-wheelhouse-job')).toBe(answer.body.jobId)
    expect((await get(`/api/v1/commands/${answer.body.id}`)).body).toEqual(answer.body)
    expect((await get(`/api/v1/commands/${answer.body.id}`, world.b.keys.admin)).status).toBe(404)
  })

  test('that ends with another code is FAILED and still an answer', async () => {
    expect(await run({ command: 'echo no; exit 7' })).toMatchObject({
      status: 201,
      body: { status: 'FAILED', exitCode: 7, stdout: 'no\n' },
    })
  })

  test('is answered at once with wait=0, and its job is followed live to its exit code', async () => {
    const { jobs } = world.kernel
    const answer = await world.call('POST', '/api/v1/commands?wait=0', {
      body: { instanceId: 'h1', command: 'echo begun; sleep 1; exit 3' },
    })
    expect(answer).toMatchObject({ status: 201, body: { exitCode: null, jobId: expect.any(String) } })
    expect(answer.body.completedAt).toBeNull()
    await jobs.wait(world.a.id, answer.body.jobId, 10_000)
    const { chunks } = await jobs.output(world.a.id, answer.body.jobId)
    expect(chunks.map(({ chunk }) => chunk).join('')).toBe('begun\n')
    expect((await get(`/api/v1/commands/${answer.body.id}`)).body).toMatchObject({ status: 'FAILED', exitCode: 3 })
    expect(
      (await world.call('POST', '/api/v1/commands?wait=-1', { body: { instanceId: 'h1', command: 'true' } })).status,
    ).toBe(422)
  })

  test('gets arguments, folder and environment untouched, and shows no secret of it', async () => {
    const answer = await run({
      command: 'sh',
      args: ['-c', 'echo "$PWD|$GREETING|$API_TOKEN|$1"', 'sh', 'a "b" $c'],
      env: { GREETING: 'hi there', API_TOKEN: 'sesame' },
      workingDir: '/tmp',
    })
    expect(answer.body).toMatchObject({
      stdout: '/tmp|hi there|sesame|a "b" $c\n',
      env: { GREETING: 'hi there', API_TOKEN: '***' },
      workingDir: '/tmp',
    })
    const leaks = await world.kernel.db.tenant(world.a.id, (tx) =>
      tx.many(sql`select 1 from jobs where jobs::text like '%sesame%'`),
    )
    expect(leaks).toEqual([])
  })

  test('that takes too long is ended: 502, row TIMEOUT with what it wrote', async () => {
    const answer = await run({ command: 'echo begun; sleep 60', timeoutMs: 1000 })
    expect(answer).toMatchObject({ status: 502, body: { error: 'Command Failed', statusCode: 502 } })
    expect((await get(`/api/v1/commands/${answer.body.executionId}`)).body).toMatchObject({
      status: 'TIMEOUT',
      stdout: 'begun\n',
      exitCode: null,
    })
  })

  test('for a machine without an agent is 502, row FAILED; for no machine it is 404', async () => {
    const answer = await run({ instanceId: 'away', command: 'true' })
    expect(answer).toMatchObject({
      status: 502,
      body: { error: 'Command Failed', message: expect.stringContaining('No agent') },
    })
    expect((await get(`/api/v1/commands/${answer.body.executionId}`)).body.status).toBe('FAILED')
    expect((await run({ instanceId: 'nobody', command: 'true' })).status).toBe(404)
    expect((await run({ command: '' })).status).toBe(422)
    expect((await run({ command: 'true' }, world.a.keys.viewer)).status).toBe(403)
  })
})

describe('policy', () => {
  test('denies what destroys a machine, before anything runs', async () => {
    const before = (await get('/api/v1/commands/history')).body.pagination.total
    expect(await run({ command: 'sudo rm -rf /' })).toMatchObject({ status: 403, body: { error: 'Forbidden' } })
    expect((await get('/api/v1/commands/history')).body.pagination.total).toBe(before)
  })

  test('holds a command on a production machine: 201 PENDING with its job, and nothing runs', async () => {
    const answer = await run({ instanceId: 'prod', command: 'echo hi' })
    expect(answer).toMatchObject({ status: 201, body: { status: 'PENDING', approvalRequired: true, exitCode: null } })
    expect(answer.headers.get('x-wheelhouse-job')).toBe(answer.body.jobId)
  })
})

describe('the host of the control plane', () => {
  test('is closed to everyone but administrators', async () => {
    const body = { instanceId: 'self', command: 'cat /etc/hostname' }
    for (const key of [world.a.keys.developer, world.a.keys.operator])
      expect(await run(body, key)).toMatchObject({
        status: 403,
        body: { message: expect.stringContaining('administrator') },
      })
    const bulk = await world.call('POST', '/api/v1/commands/script', {
      as: world.a.keys.developer,
      body: { instanceIds: ['self', 'h2'], script: 'id' },
    })
    expect(bulk.body.results).toMatchObject([
      { instanceId: 'self', success: false },
      { instanceId: 'h2', success: true },
    ])
    expect((await run(body, world.a.keys.admin)).status).toBe(201)
  })

  test('also through the door of the jobs surface', async () => {
    const principal = await world.principal(world.a.keys.developer)
    const verb = world.kernel.jobs.verb('command:execute')
    if (!verb) throw new Error('the verb is not registered')
    const settled = await world.kernel.jobs.submitAndWait(
      principal,
      verb,
      { instanceId: 'self', command: 'cat /etc/hostname' },
      { waitMs: 15_000 },
    )
    expect(settled).toMatchObject({ state: 'ended', end: { kind: 'failed', code: 'CONTROL_PLANE_GUARDED' } })
  })
})

test('a console’s socket runs the same governed command', async () => {
  const socket = new WebSocket(`${world.url.replace('http', 'ws')}/ws`, {
    headers: { authorization: `Bearer ${world.a.keys.developer}` },
  })
  const heard: { type: string; correlationId?: string; data?: Record<string, unknown> }[] = []
  socket.on('message', (data) => heard.push(JSON.parse(String(data)) as (typeof heard)[number]))
  await once(socket, 'open')
  const exec = (correlationId: string, instanceId: string, command: string) =>
    socket.send(
      JSON.stringify({ channel: 'commands', type: 'command:exec', instanceId, correlationId, data: { command } }),
    )
  const answer = (id: string) =>
    until(`the answer to ${id}`, () => heard.find(({ correlationId }) => correlationId === id))
  exec('c1', 'h1', 'echo over the socket')
  expect(await answer('c1')).toMatchObject({
    type: 'command:result',
    data: { exitCode: 0, stdout: 'over the socket\n' },
  })
  exec('c2', 'self', 'id')
  expect(await answer('c2')).toMatchObject({ type: 'error', data: { code: 'FORBIDDEN' } })
  exec('c3', 'h1', 'rm -rf /')
  expect(await answer('c3')).toMatchObject({ type: 'error', data: { code: 'FORBIDDEN' } })
  socket.close()
})

describe('many', () => {
  test('a script runs through its interpreter on each of them', async () => {
    const answer = await world.call('POST', '/api/v1/commands/script', {
      as: world.a.keys.developer,
      body: { instanceIds: ['h1', 'h2'], script: 'for i in 1 2; do echo "$i"; done\nexit 0\n', interpreter: '/bin/sh' },
    })
    expect(answer).toMatchObject({
      status: 207,
      body: {
        results: [
          { instanceId: 'h1', success: true, execution: { stdout: '1\n2\n', hasScript: true, status: 'SUCCEEDED' } },
          { instanceId: 'h2', success: true, execution: { stdout: '1\n2\n' } },
        ],
      },
    })
  })

  test('one fails by itself; one that is not there refuses all', async () => {
    const bulk = (instanceIds: string[], as = world.a.keys.operator) =>
      world.call('POST', '/api/v1/commands/bulk', { as, body: { instanceIds, command: 'echo bulk' } })
    expect(await bulk(['h2', 'away'])).toMatchObject({
      status: 207,
      body: {
        results: [
          { success: true, execution: { stdout: 'bulk\n' } },
          { success: false, error: expect.any(String) },
        ],
      },
    })
    const before = (await get('/api/v1/commands/history')).body.pagination.total
    expect(await bulk(['h1', 'gone'])).toMatchObject({
      status: 404,
      body: { message: expect.stringContaining('gone') },
    })
    expect((await get('/api/v1/commands/history')).body.pagination.total).toBe(before)
    expect((await bulk(['h1'], world.a.keys.developer)).status).toBe(403)
  })

  test('the history filters and pages, newest first', async () => {
    const { body } = await get('/api/v1/commands/history?instanceId=h2&pageSize=2')
    expect(body.executions.map((each: { instanceId: string }) => each.instanceId)).toEqual(['h2', 'h2'])
    expect(body.executions[0].createdAt >= body.executions[1].createdAt).toBe(true)
    expect((await get('/api/v1/commands/history?status=TIMEOUT')).body.executions).toHaveLength(1)
    expect((await get('/api/v1/commands/history?status=NEVER')).status).toBe(422)
    expect((await get('/api/v1/commands/history', world.b.keys.admin)).body.executions).toEqual([])
  })
})

test('the line that policy judges reads back as the same words', () => {
  expect(commandLine('df -h', [])).toBe('df -h')
  expect(commandLine('rm', ['-rf', '/'])).toBe('rm -rf /')
  expect(commandLine('echo', ['it’s', "it's", 'a b'])).toBe(String.raw`echo 'it’s' 'it'\''s' 'a b'`)
})

test('values of names that speak of secrets are masked', () => {
  expect(maskedEnv({ PATH: '/bin', DB_PASSWORD: 'x', apiKey: 'y', DATABASE_URL: 'z' })).toEqual({
    PATH: '/bin',
    DB_PASSWORD: '***',
    apiKey: '***',
    DATABASE_URL: '***',
  })
})
