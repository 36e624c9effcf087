import { once } from 'node:events'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { BasePeer, RealAgent, until } from '../../testing/agents.ts'
import { enrolAgent } from '../../kernel/agents/index.ts'
import { sql } from '../../kernel/db/index.ts'
import { openWorld, type World } from '../../testing/world.ts'
import { storesOf } from '../telemetry/stores.ts'

let world: World
let port: number
const open: { close(): void }[] = []

beforeAll(async () => {
  world = await openWorld()
  port = Number(new URL(world.url).port)
})
afterEach(() => {
  for (const each of open.splice(0)) each.close()
})
afterAll(() => world.close())

type Message = Record<string, unknown> & { payload?: Record<string, unknown>; data?: Record<string, unknown> }

/** A console's socket that remembers what it heard. */
class Console {
  readonly heard: Message[] = []
  readonly socket: WebSocket
  closed: { code: number } | undefined

  constructor(path: string, key: string) {
    this.socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers: { authorization: `Bearer ${key}` } })
    this.socket.on('message', (data) => this.heard.push(JSON.parse(String(data)) as Message))
    this.socket.on('close', (code) => (this.closed = { code }))
    this.socket.on('error', () => {})
    open.push(this.socket)
  }

  async open(): Promise<this> {
    await once(this.socket, 'open')
    return this
  }

  say(message: object | string): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message))
  }

  hears(what: string, fits: (message: Message) => boolean): Promise<Message> {
    return until(what, () => this.heard.find(fits))
  }
}

const consoleAt = (path: string, key = world.a.keys.viewer) => new Console(path, key).open()
const get = (path: string, key = world.a.keys.viewer) => world.call('GET', path, { as: key })

async function peer(key = world.a.keys['system-agent'], headers: Record<string, string> = {}): Promise<BasePeer> {
  const made = await new BasePeer(port, key, headers).open()
  open.push({ close: () => made.socket.terminate() })
  return made
}

const metrics = (instance_id: string, cpu: number) => ({
  type: 'metrics' as const,
  payload: {
    instance_id,
    timestamp: new Date().toISOString(),
    cpu: { usage_percent: cpu, load_avg_1: 1, load_avg_5: 2, load_avg_15: 3, core_count: 4 },
    memory: {
      total_bytes: 1000,
      used_bytes: 500,
      free_bytes: 500,
      cached_bytes: 1,
      usage_percent: 50,
      swap_total_bytes: 0,
      swap_used_bytes: 0,
    },
    disk: null,
    network: { bytes_sent: 1, bytes_recv: 2, packets_sent: 3, packets_recv: 4 },
  },
})

describe('an agent of the base protocol', () => {
  test('becomes an instance by its first heartbeat, and its telemetry is stored and shown live', async () => {
    const hub = await consoleAt('/ws')
    await hub.hears('the numbers of the fleet', ({ type }) => type === 'fleet_stats')
    const agent = await peer()
    agent.heartbeat('base-1')
    await hub.hears(
      'the new instance',
      ({ type, payload }) => type === 'instance_update' && payload?.['instanceId'] === 'base-1',
    )
    await hub.hears(
      'its heartbeat',
      ({ type, payload }) => type === 'heartbeat' && payload?.['instanceId'] === 'base-1',
    )
    await hub.hears('the new number', ({ type, payload }) => type === 'fleet_stats' && payload?.['total'] === 1)
    expect((await get('/api/v1/instances/base-1')).body).toMatchObject({ status: 'RUNNING', provider: 'ssh' })
    await until('the pong', () => agent.messages.find(({ type }) => type === 'heartbeat:pong'))

    hub.say({ channel: 'system', type: 'subscribe', protocolVersion: '1.0', ts: 1, data: { instanceId: 'base-1' } })
    await hub.hears('the ack', ({ type }) => type === 'ack')
    const stream = await consoleAt('/ws/metrics/stream?instanceId=base-1')
    agent.say(metrics('base-1', 42))
    expect(await hub.hears('the sample', ({ type }) => type === 'metrics:update')).toMatchObject({
      protocolVersion: '1.0',
      channel: 'metrics',
      instanceId: 'base-1',
      data: { cpuPercent: 42, memoryUsed: 500, loadAvg: [1, 2, 3] },
    })
    expect(await stream.hears('the snapshot', ({ type }) => type === 'metrics:snapshot')).toMatchObject({
      instance_id: 'base-1',
      cpu_percent: 42,
      network_bytes_in: 2,
    })
    const latest = await until('the stored sample', async () => {
      const { body } = await get('/api/v1/metrics/latest?instanceIds=base-1')
      return body.count === 1 && body
    })
    expect(latest.metrics[0]).toMatchObject({ cpuPercent: 42, diskTotal: '0' })

    agent.say({
      type: 'log:batch',
      payload: {
        path: '/var/log/x',
        lines: [{ level: 'warning', line: 'low on disk', source: 'extension:node', ts: Date.now() }],
      },
    })
    expect(await hub.hears('the line', ({ type }) => type === 'log:line')).toMatchObject({
      channel: 'logs',
      data: { level: 'warn', message: 'low on disk', source: 'extension', path: '/var/log/x' },
    })
  })

  test('its events are known words, or log lines, and never a deployment', async () => {
    const agent = await peer()
    agent.heartbeat('base-2')
    agent.say({
      type: 'event',
      payload: { event_type: 'extension:install', message: 'node', metadata: { name: 'node' } },
    })
    agent.say({ type: 'event', payload: { event_type: 'coffee.ready', message: 'hot' } })
    const line = await until('the line', async () => {
      const { body } = await get('/api/v1/instances/base-2/logs?search=coffee')
      return body.logs?.[0]
    })
    expect(line).toMatchObject({ source: 'AGENT', message: 'coffee.ready: hot' })
    const { body } = await get('/api/v1/instances/base-2/events')
    expect(body.events.map((each: { type: string }) => each.type)).toEqual(['EXTENSION_INSTALL', 'DEPLOY'])
    expect(body.events[0].metadata).toEqual({ name: 'node', message: 'node' })
  })

  test('usage of models that is sent twice is stored once', async () => {
    const agent = await peer()
    agent.heartbeat('base-3')
    const record = { provider: 'anthropic', model: 'm', inputTokens: 1, outputTokens: 2, costUsd: 0.5, ts: Date.now() }
    for (let n = 0; n < 2; n++)
      agent.say({ type: 'llm_usage:batch', payload: { records: [record, { ...record, ts: record.ts + 1 }] } })
    agent.say({ type: 'event', payload: { event_type: 'done', message: 'usage' } })
    await until('the last message', async () => (await get('/api/v1/instances/base-3/logs?search=done')).body.logs?.[0])
    const rows = await world.kernel.db.tenant(world.a.id, (tx) =>
      tx.many<{ cost_micros: number }>(sql`select cost_micros from llm_usage where instance_id = 'base-3'`),
    )
    expect(rows).toEqual([{ cost_micros: 500_000 }, { cost_micros: 500_000 }])
  })

  test('silence makes ERROR and a heartbeat makes RUNNING again, each with its event', async () => {
    const agent = await peer()
    agent.heartbeat('base-4')
    const status = async () => (await get('/api/v1/instances/base-4')).body.status
    await until('the instance', async () => (await status()) === 'RUNNING')
    const hub = await consoleAt('/ws')
    agent.socket.terminate()
    await world.kernel.agents.presence.flush()
    await world.kernel.db.tenant(world.a.id, (tx) =>
      tx.run(sql`
        update agent_presence set last_heartbeat_at = last_heartbeat_at - interval '75 seconds'
         where agent_id = (select id from agents where external_id = 'base-4')`),
    )
    await world.kernel.agents.presence.sweep()
    await until('ERROR', async () => (await status()) === 'ERROR')
    await hub.hears('the change', ({ type, payload }) => type === 'instance_update' && payload?.['status'] === 'ERROR')
    const again = await peer()
    again.heartbeat('base-4')
    await until('RUNNING', async () => (await status()) === 'RUNNING')
    const { body } = await get('/api/v1/instances/base-4/events')
    expect(body.events.map((each: { type: string }) => each.type)).toEqual([
      'HEARTBEAT_RECOVERED',
      'HEARTBEAT_LOST',
      'DEPLOY',
    ])
    expect((await get('/api/v1/instances?search=base-4')).body.pagination.total).toBe(1)
  })
})

describe('a real agent', () => {
  test('registers, connects and shows its processes; a developer may not touch the host of the control plane', async () => {
    const { token } = await world.kernel.db.tenant(world.a.id, (tx) =>
      enrolAgent(tx, Date.now(), { name: 'real', labels: { 'wheelhouse.control-plane': 'true' } }),
    )
    const agent = new RealAgent().start(port, token, { WHEELHOUSE_AGENT_ID: 'real' })
    try {
      const { body } = await until('its processes', async () => {
        const answer = await get('/api/v1/instances/real/processes')
        return answer.status === 200 && answer
      })
      expect(body.instance_id).toBe('real')
      expect(body.processes.length).toBeGreaterThan(0)
      expect(body.processes.length).toBeLessThanOrEqual(10)
      expect(body.processes[0]).toMatchObject({
        pid: expect.any(Number),
        name: expect.any(String),
        cpu_percent: expect.any(Number),
      })
      expect((await get('/api/v1/instances/real')).body).toMatchObject({ os: 'linux', status: 'RUNNING' })
    } finally {
      await agent.remove()
    }
    const offline = await until('the agent to be away', async () => {
      const answer = await get('/api/v1/instances/real/processes')
      return answer.status !== 200 && answer
    })
    expect(offline).toMatchObject({ status: 503, body: { error: 'Service Unavailable' } })
  })

  test('an instance without an agent has no processes', async () => {
    await world.call('POST', '/api/v1/instances', { body: { name: 'lonely', provider: 'fly' } })
    expect((await get('/api/v1/instances/lonely/processes')).status).toBe(404)
    const { body } = await get('/api/v1/instances?search=lonely')
    expect((await get(`/api/v1/instances/${body.instances[0].id}/processes`)).status).toBe(503)
  })
})

describe('the hub of consoles', () => {
  test('refuses telemetry, nonsense and instances of others by their codes', async () => {
    const hub = await consoleAt('/ws/fleet')
    hub.say('no json')
    await hub.hears('a parse error', ({ data }) => data?.['code'] === 'PARSE_ERROR')
    hub.say({ channel: 'metrics', type: 'metrics:update', data: { cpuPercent: 1 } })
    await hub.hears('a refusal', ({ data }) => data?.['code'] === 'FORBIDDEN')
    hub.say({ channel: 'system', type: 'dance', data: {} })
    await hub.hears('an unknown type', ({ data }) => data?.['code'] === 'UNKNOWN_MESSAGE_TYPE')
    hub.say({ channel: 'system', type: 'subscribe', data: { instanceId: 'not there' } })
    await hub.hears('no such instance', ({ data }) => data?.['code'] === 'NO_INSTANCE_ID')
  })

  test('sends nothing of another tenant or of a team that the caller is not in', async () => {
    await world.call('POST', '/api/v1/instances', { body: { instance_id: 'teamed' } })
    await world.kernel.db.tenant(world.a.id, async (tx) => {
      await tx.run(sql`insert into groups (tenant_id, name) values (${tx.tenantId}, 'core')`)
      await tx.run(sql`update instances set team_id = 'core' where id = 'teamed'`)
    })
    const [admin, viewer, other] = await Promise.all([
      consoleAt('/ws/instances', world.a.keys.admin),
      consoleAt('/ws/instances', world.a.keys.viewer),
      consoleAt('/ws/instances', world.b.keys.admin),
    ])
    const beat = {
      at: Date.now(),
      cpuPercent: 1,
      memoryUsed: 1,
      memoryTotal: 2,
      diskUsed: 1,
      diskTotal: 2,
      uptimeSeconds: 3,
    }
    await storesOf(world.kernel).metrics.addBeat(world.a.id, { ...beat, instanceId: 'teamed' })
    await storesOf(world.kernel).metrics.addBeat(world.a.id, { ...beat, instanceId: 'base-1' })
    const isBeat = (id: string) => (message: Message) =>
      message.type === 'heartbeat' && message.payload?.['instanceId'] === id
    await admin.hears('the heartbeat', isBeat('teamed'))
    await viewer.hears('the other heartbeat', isBeat('base-1'))
    await other.hears('its own numbers', ({ type }) => type === 'fleet_stats')
    expect(viewer.heard.some(isBeat('teamed'))).toBe(false)
    expect(other.heard.filter(({ type }) => type !== 'fleet_stats')).toEqual([])
    expect(other.heard[0]?.payload).toMatchObject({ total: 0 })
  })

  test('opens with a ticket, once', async () => {
    const { body } = await world.call('POST', '/api/v1/ws/ticket', { as: world.a.keys.viewer })
    const first = new WebSocket(`ws://127.0.0.1:${port}/ws?ticket=${body.ticket}`)
    open.push(first)
    await once(first, 'open')
    const second = new WebSocket(`ws://127.0.0.1:${port}/ws?ticket=${body.ticket}`)
    const [, response] = (await once(second, 'unexpected-response')) as [
      unknown,
      { statusCode: number; headers: object },
    ]
    expect(response.statusCode).toBe(401)
    expect(response.headers).toMatchObject({ 'x-error-code': 'AUTH_ERROR' })
  })
})
