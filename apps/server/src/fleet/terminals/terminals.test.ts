import { once } from 'node:events'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { RealAgent, until } from '../../testing/agents.ts'
import { enrolAgent } from '../../kernel/agents/index.ts'
import { sql } from '../../kernel/db/index.ts'
import { openWorld, type World } from '../../testing/world.ts'
import { closeForgotten } from './tables.ts'

let world: World
const agents: RealAgent[] = []

beforeAll(async () => {
  world = await openWorld()
  for (const [name, labels] of [
    ['shell', {}],
    ['prod', { env: 'production' }],
    ['self', { 'wheelhouse.control-plane': 'true' }],
  ] as const) {
    const { token } = await world.kernel.db.tenant(world.a.id, (tx) => enrolAgent(tx, Date.now(), { name, labels }))
    agents.push(
      new RealAgent().start(Number(new URL(world.url).port), token, {
        WHEELHOUSE_AGENT_ID: name,
        WHEELHOUSE_AGENT_SHELL: '/bin/sh',
      }),
    )
  }
  await until('three agents', async () => {
    const rows = await world.kernel.db.tenant(world.a.id, (tx) =>
      tx.many(sql`select 1 from agents join instances on instances.agent_id = agents.id where liveness = 'online'`),
    )
    return rows.length === 3
  })
})
afterAll(async () => {
  await Promise.all(agents.map((agent) => agent.remove()))
  await world.close()
})

const open = (id: string, as = world.a.keys.developer) => world.call('POST', `/api/v1/instances/${id}/terminal`, { as })
const status = async (id: string) =>
  (
    await world.kernel.db.tenant(world.a.id, (tx) =>
      tx.one<{ status: string }>(sql`select status from terminal_sessions where id = ${id}`),
    )
  ).status
const sessions = async () => (await world.call('GET', '/api/v1/fleet/stats')).body.active_sessions

class Screen {
  text = ''
  closed: { code: number } | undefined
  readonly socket: WebSocket

  constructor(url: string, key: string) {
    this.socket = new WebSocket(url, { headers: { authorization: `Bearer ${key}` } })
    this.socket.on('message', (data) => {
      const message = JSON.parse(String(data)) as { type: string; data: string }
      if (message.type === 'data') this.text += message.data
    })
    this.socket.on('close', (code) => (this.closed = { code }))
    this.socket.on('error', () => {})
  }

  async open(): Promise<this> {
    await once(this.socket, 'open')
    return this
  }

  type(text: string): void {
    this.socket.send(JSON.stringify({ type: 'data', data: text }))
  }

  shows(text: string): Promise<boolean> {
    return until(`"${text}"; the screen is ${this.text}`, () => this.text.includes(text))
  }

  async end(): Promise<number> {
    return until('the end of the socket', () => this.closed).then(({ code }) => code)
  }
}

const attach = (url: string, key = world.a.keys.developer) => new Screen(url, key).open()

test('a terminal is opened, used, left, found again as it was, and ends with its shell', async () => {
  const answer = await open('shell')
  expect(answer).toMatchObject({
    status: 201,
    body: { websocketUrl: `${world.url.replace('http', 'ws')}/ws/terminal/${answer.body.sessionId}` },
  })
  const { sessionId, websocketUrl } = answer.body as { sessionId: string; websocketUrl: string }
  const first = await attach(websocketUrl)
  first.socket.send(JSON.stringify({ type: 'resize', cols: 97, rows: 31 }))
  first.type('stty size; echo "grüße $((40+2))"\n')
  await first.shows('31 97')
  await first.shows('grüße 42')
  expect(await sessions()).toBe(1)
  first.socket.close()
  await until('the detachment', async () => (await status(sessionId)) === 'DISCONNECTED')
  expect(await sessions()).toBe(0)

  const second = await attach(websocketUrl)
  await second.shows('grüße 42')
  expect(await until('the session to be active', async () => (await status(sessionId)) === 'ACTIVE')).toBe(true)
  const third = await attach(websocketUrl)
  expect(await second.end()).toBe(1001)
  await third.shows('grüße 42')
  third.socket.send('exit 3\n')
  expect(await third.end()).toBe(1000)
  expect(third.text).toContain('exited')
  await until('the end of the session', async () => (await status(sessionId)) === 'CLOSED')
  const fourth = await attach(websocketUrl)
  expect(await fourth.end()).toBe(4004)
})

test('only its owner attaches, and only its owner ends it', async () => {
  const { body } = await open('shell')
  const stranger = await world.person(world.a, 'stranger', 'developer')
  const other = await attach(body.websocketUrl, stranger)
  expect(await other.end()).toBe(4001)
  const path = `/api/v1/instances/shell/terminal/${body.sessionId}`
  expect((await world.call('DELETE', path, { as: stranger })).body).toEqual({ ok: true })
  const mine = await attach(body.websocketUrl)
  mine.type('echo still here\n')
  await mine.shows('still here')
  expect((await world.call('DELETE', path, { as: world.a.keys.developer })).body).toEqual({ ok: true })
  expect(await mine.end()).toBe(1000)
  expect(await status(body.sessionId)).toBe('CLOSED')
  const foreign = new Screen(body.websocketUrl, world.b.keys.admin)
  await once(foreign.socket, 'open')
  expect(await foreign.end()).toBe(4004)
  const viewer = new WebSocket(body.websocketUrl, { headers: { authorization: `Bearer ${world.a.keys.viewer}` } })
  const [, refused] = (await once(viewer, 'unexpected-response')) as [unknown, { statusCode: number }]
  expect(refused.statusCode).toBe(403)
})

test('policy is asked first: a production machine waits for approval, the control plane is for administrators', async () => {
  const held = await open('prod')
  expect(held).toMatchObject({ status: 201, body: { approvalRequired: true, jobId: expect.any(String) } })
  const waiting = await attach(held.body.websocketUrl)
  expect(await waiting.end()).toBe(4001)
  expect((await open('self')).status).toBe(403)
  const admin = await open('self', world.a.keys.admin)
  expect(admin.status).toBe(201)
  expect((await open('nobody')).status).toBe(404)
  await world.call('POST', '/api/v1/instances', { body: { instance_id: 'away' } })
  expect(await open('away')).toMatchObject({ status: 503, body: { error: 'Service Unavailable' } })
})

test('what a crash left open is closed once nobody can be there any more', async () => {
  const { body } = await open('shell')
  await closeForgotten(world.kernel.db, Date.now())
  expect(await status(body.sessionId)).toBe('ACTIVE')
  await closeForgotten(world.kernel.db, Date.now() + 2 * 3_600_000)
  expect(await status(body.sessionId)).toBe('CLOSED')
})

test('the trail holds who connected and disconnected', async () => {
  const { body } = await world.call('GET', '/api/v1/audit?resource=terminal_session&action=CONNECT')
  expect(body.logs.length).toBeGreaterThan(0)
  expect(body.logs.at(-1)).toMatchObject({ userId: world.a.adminId, metadata: { instanceId: 'shell' } })
})
