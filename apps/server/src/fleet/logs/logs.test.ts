import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openWorld, type World } from '../../testing/world.ts'
import { storesOf } from '../telemetry/stores.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
  for (const name of ['one', 'two'])
    await world.call('POST', '/api/v1/instances', { body: { instance_id: name, provider: 'ssh' } })
})
afterAll(() => world.close())

const ingest = (body: object, as = world.a.keys.viewer) => world.call('POST', '/api/v1/logs/ingest', { as, body })
const get = (path: string, as = world.a.keys.viewer) => world.call('GET', path, { as })
const messages = (answer: { body: { logs: { message: string }[] } }) => answer.body.logs.map(({ message }) => message)
const line = (message: string, more: object = {}) => ({
  instanceId: 'one',
  level: 'INFO',
  source: 'APP',
  message,
  ...more,
})

/** Data of the events of a stream as they come. */
async function* events(path: string, as = world.a.keys.viewer): AsyncGenerator<Record<string, unknown>> {
  const leave = new AbortController()
  const response = await fetch(`${world.url}${path}`, {
    headers: { authorization: `Bearer ${as}` },
    signal: leave.signal,
  })
  expect(response.headers.get('content-type')).toMatch('text/event-stream')
  const decoder = new TextDecoder()
  let text = ''
  try {
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true })
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const data = /^data: (.*)$/m.exec(text.slice(0, end))?.[1]
        const comment = text.startsWith(':')
        text = text.slice(end + 2)
        if (data !== undefined) yield JSON.parse(data) as Record<string, unknown>
        else if (comment) yield { comment: true }
      }
    }
  } finally {
    leave.abort()
  }
}

describe('ingest', () => {
  test('stores a line that is found by its id', async () => {
    const at = new Date(Date.now() - 3 * 86_400_000).toISOString()
    const made = await ingest(line('three days old', { timestamp: at, metadata: { a: [1, 'x'] } }))
    expect(made).toMatchObject({ status: 201, body: { timestamp: at, message: 'three days old', deploymentId: null } })
    expect((await get(`/api/v1/logs/${made.body.id}`)).body).toMatchObject({
      id: made.body.id,
      timestamp: at,
      metadata: { a: [1, 'x'] },
    })
    expect((await get(`/api/v1/logs/${made.body.id}`, world.b.keys.admin)).status).toBe(404)
    expect((await get('/api/v1/logs/nothing')).status).toBe(404)
  })

  test('keeps what an agent sends even where the database cannot hold it as it is', async () => {
    const [made] = await storesOf(world.kernel).logs.add(world.b.id, [
      {
        instanceId: 'odd',
        level: 'INFO',
        source: 'APP',
        message: 'a\0b',
        metadata: { text: 'a\0b\\u0000 \ud800 \udc00', pair: '\u{1f600}' },
      },
    ])
    const stored = await get(`/api/v1/logs/${made?.id}`, world.b.keys.viewer)
    expect(stored.body).toMatchObject({
      message: 'ab',
      metadata: { text: 'ab\\u0000 \ufffd \ufffd', pair: '\u{1f600}' },
    })
  })

  test('refuses a batch with an unknown instance whole', async () => {
    const answer = await world.call('POST', '/api/v1/logs/ingest/batch', {
      body: { entries: [line('kept back'), line('stranger', { instanceId: 'nobody' })] },
    })
    expect(answer).toMatchObject({ status: 404, body: { error: 'Not Found' } })
    expect((await get('/api/v1/logs?search=kept')).body.pagination.total).toBe(0)
    expect((await ingest(line('other tenant'), world.b.keys.admin)).status).toBe(404)
    expect((await ingest({ ...line('x'), level: 'LOUD' })).status).toBe(422)
  })
})

describe('finding', () => {
  beforeAll(async () => {
    await world.call('POST', '/api/v1/logs/ingest/batch', {
      body: {
        entries: [
          line('Connection refused by upstream', { level: 'ERROR', source: 'SYSTEM' }),
          line('connection established', { instanceId: 'two', deploymentId: 'd1' }),
          line('deprecated option', { level: 'WARN' }),
        ],
      },
    })
  })

  test('lists newest first, filtered, in the envelope', async () => {
    const all = await get('/api/v1/logs?from=2020-01-01T00:00:00Z&pageSize=3')
    expect(messages(all)).toEqual(['deprecated option', 'connection established', 'Connection refused by upstream'])
    expect(all.body.pagination).toMatchObject({ total: 4, pageSize: 3, totalPages: 2 })
    expect(messages(await get('/api/v1/logs?level=ERROR,WARN&source=SYSTEM'))).toEqual([
      'Connection refused by upstream',
    ])
    expect(messages(await get('/api/v1/logs?deploymentId=d1'))).toEqual(['connection established'])
    expect(messages(await get('/api/v1/instances/two/logs?instanceId=one'))).toEqual(['connection established'])
    expect((await get('/api/v1/logs?level=LOUD')).status).toBe(422)
    expect(messages(await get('/api/v1/logs', world.b.keys.admin))).toEqual(['ab'])
  })

  test('matches words in any case, and parts of words only when no word fits', async () => {
    expect(messages(await get('/api/v1/logs?search=CONNECTION'))).toHaveLength(2)
    expect(messages(await get('/api/v1/logs?search=refused%20connection'))).toEqual(['Connection refused by upstream'])
    expect(messages(await get('/api/v1/logs?search=precat'))).toEqual(['deprecated option'])
    expect(messages(await get('/api/v1/logs?search=%25'))).toEqual([])
  })

  test('counts by level, source and instance over any window', async () => {
    const { body: all } = await get('/api/v1/logs/stats')
    expect(all).toMatchObject({
      total: 4,
      totalLogs: 4,
      totalErrors: 1,
      totalWarns: 1,
      instancesWithErrors: 1,
      byLevel: { ERROR: 1, WARN: 1, INFO: 2 },
      bySource: { SYSTEM: 1, APP: 3 },
      topInstances: [
        { instanceId: 'one', count: 3 },
        { instanceId: 'two', count: 1 },
      ],
    })
    const lately = new Date(Date.now() - 60_000).toISOString()
    expect((await get(`/api/v1/logs/stats?from=${lately}`)).body.total).toBe(3)
    const ahead = new Date(Date.now() + 60_000).toISOString()
    expect((await get(`/api/v1/logs/stats?from=${lately}&to=${ahead}`)).body.total).toBe(3)
    expect((await get(`/api/v1/logs/stats?to=${lately}`)).body.total).toBe(1)
    expect((await get('/api/v1/instances/one/logs/stats')).body).toMatchObject({
      instanceId: 'one',
      total: 3,
      errorRate: 1 / 3,
      recentErrors: 1,
    })
  })
})

describe('following', () => {
  test('sends each new line of the instance once, whether it came alone or in a batch', async () => {
    const stream = events('/api/v1/instances/one/logs/stream')
    expect((await stream.next()).value).toMatchObject({ type: 'connected', instanceId: 'one' })
    await ingest(line('not this one', { instanceId: 'two' }))
    const { body: first } = await ingest(line('live 1'))
    await world.call('POST', '/api/v1/logs/ingest/batch', { body: { entries: [line('live 2'), line('live 3')] } })
    expect((await stream.next()).value).toEqual(first)
    expect((await stream.next()).value).toMatchObject({ message: 'live 2' })
    expect((await stream.next()).value).toMatchObject({ message: 'live 3' })
    await stream.return(undefined)
  })

  test('follows several instances, and refuses those that are not there', async () => {
    const stream = events('/api/v1/logs/stream?instanceIds=one,two')
    expect((await stream.next()).value).toEqual({ comment: true })
    await ingest(line('live 4', { instanceId: 'two' }))
    expect((await stream.next()).value).toMatchObject({ message: 'live 4', instanceId: 'two' })
    await stream.return(undefined)
    expect((await get('/api/v1/logs/stream')).status).toBe(400)
    expect((await get('/api/v1/logs/stream?instanceIds=one', world.b.keys.admin)).status).toBe(404)
  })
})
