import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test, vi } from 'vitest'
import { ownPlatform, startNats } from '../../testing/nats.ts'
import { openBus, type Bus } from './connection.ts'

const log = pino({ level: 'silent' })
const bytes = (text: string) => new TextEncoder().encode(text)
const text = (data: Uint8Array) => new TextDecoder().decode(data)

let bus: Bus
let replica: Bus
const listening: { close(): void }[] = []

beforeAll(async () => {
  const keys = ownPlatform(inject('nats').keys)
  bus = await openBus({ urls: [inject('nats').url], keys, log })
  replica = await openBus({ urls: [inject('nats').url], keys, log })
})
afterEach(() => {
  for (const each of listening.splice(0)) each.close()
})
afterAll(() => Promise.all([bus.close(), replica.close()]))

describe('between replicas', () => {
  test('live events reach those who hold sockets of the tenant, under their type', async () => {
    const heard: string[] = []
    listening.push(replica.onEvents('t-1', (event) => void heard.push(`${event.subject} ${text(event.data)}`)))
    await replica.ping()
    // What the other says of what it listens to is here before the answer to this.
    await bus.ping()
    bus.publishEvent('t-2', 'promotion.approved', () => bytes('foreign'))
    bus.publishEvent('t-1', 'promotion.approved', () => bytes('{}'))
    await vi.waitFor(() => expect(heard).toEqual(['promotion.approved {}']))
  })

  test('what a replica shows it does not hear itself: its own listeners are told without the bus', async () => {
    const heard: string[] = []
    listening.push(
      bus.onLive('wh.live.t-8', ({ data }) => void heard.push(`bus ${text(data)}`)),
      replica.onLive('wh.live.t-8', ({ data }) => void heard.push(`replica ${text(data)}`)),
      bus.onEvents('t-8', ({ subject }) => void heard.push(`bus ${subject}`)),
      replica.onEvents('t-8', ({ subject }) => void heard.push(`replica ${subject}`)),
    )
    await replica.ping()
    await bus.ping()
    bus.publishLive('wh.live.t-8', () => bytes('one'))
    bus.publishEvent('t-8', 'two', () => bytes('{}'))
    await vi.waitFor(() => expect(heard).toEqual(['replica one', 'replica two']))
    // Whatever the bus would still bring comes before this.
    await bus.ping()
    expect(heard).toEqual(['replica one', 'replica two'])
  })

  test('what nobody else listens to is not even made, and is made again as soon as somebody on another replica does', async () => {
    let made = 0
    const heard: string[] = []
    const show = (): void =>
      bus.publishLive('wh.live.t-9', () => {
        made += 1
        return bytes('{}')
      })
    // Right after its start a replica takes everything as wanted.
    await vi.waitFor(
      () => {
        const before = made
        show()
        expect(made).toBe(before)
      },
      { timeout: 5000 },
    )
    const listens = replica.onLive('wh.live.t-9', ({ data }) => void heard.push(text(data)))
    await vi.waitFor(() => {
      show()
      expect(heard.length).toBeGreaterThan(0)
    })
    listens.close()
    await vi.waitFor(() => {
      const before = made
      show()
      expect(made).toBe(before)
    })
  })

  test('a nudge wakes all of them', async () => {
    let woken = 0
    for (const each of [bus, replica]) listening.push(each.onWake('outbox', () => void woken++))
    await Promise.all([bus.ping(), replica.ping()])
    bus.wake('outbox')
    await vi.waitFor(() => expect(woken).toBe(2))
  })

  test('work for an agent reaches the replica that holds it, and is refused at once when none does', async () => {
    listening.push(replica.onAgent('agent-1', (message) => message.respond(bytes('took it'))))
    await replica.ping()
    expect(text((await bus.requestAgent('agent-1', bytes('work'), { timeoutMs: 2000 })).data)).toBe('took it')
    await expect(bus.requestAgent('agent-2', bytes('work'), { timeoutMs: 10_000 })).rejects.toMatchObject({
      code: 'SYS_UNAVAILABLE',
      details: { reason: 'no responders' },
    })
  })

  test('a handler that throws does not end the subscription', async () => {
    const heard: string[] = []
    listening.push(
      bus.subscribe('fragile', {}, async (message) => {
        heard.push(text(message.data))
        if (heard.length < 3) throw new Error('poison')
      }),
    )
    for (const each of ['1', '2', '3']) bus.publish('fragile', bytes(each))
    await vi.waitFor(() => expect(heard).toEqual(['1', '2', '3']))
  })
})

describe('the connection', () => {
  test('tells its state, and that JetStream works', async () => {
    expect(bus.status()).toMatchObject({ state: 'CONNECTED', version: expect.stringMatching(/^2\./), reconnects: 0 })
    expect(await bus.jetStreamUsable()).toBe(true)
    expect(await bus.ping()).toBeLessThan(1000)
  })

  test('names the unreachable server when none answers in time', async () => {
    const opening = openBus({ urls: ['nats://127.0.0.1:1'], keys: bus.keys, log, connectTimeoutMs: 100 })
    await expect(opening).rejects.toMatchObject({
      code: 'SYS_UNAVAILABLE',
      message: expect.stringContaining('127.0.0.1:1'),
    })
  })

  test('survives a killed server: says so, sends nothing meanwhile, ends waiting questions, and hears again afterwards', async () => {
    const nats = await startNats()
    const own = await openBus({ urls: [nats.url], keys: nats.keys, log })
    const heard: string[] = []
    let back = 0
    own.onReconnect(() => void back++)
    own.subscribe('here', {}, (message) => void heard.push(text(message.data)))
    own.subscribe('mute', {}, () => undefined)
    const waiting = own.request('mute', bytes(''), { timeoutMs: 20_000 })
    const refused = expect(waiting).rejects.toMatchObject({ code: 'SYS_UNAVAILABLE' })
    await own.ping()
    await nats.kill()
    await vi.waitFor(() => expect(own.status().state).toBe('RECONNECTING'))
    await refused
    expect(own.publish('here', bytes('lost'))).toBe(false)
    expect(await own.jetStreamUsable()).toBe(false)
    await nats.restart()
    await vi.waitFor(() => expect(own.status()).toMatchObject({ state: 'CONNECTED', reconnects: 1 }), {
      timeout: 10_000,
    })
    expect(back).toBe(1)
    expect(own.publish('here', bytes('found'))).toBe(true)
    await vi.waitFor(() => expect(heard).toEqual(['found']))
    await own.close()
    expect(own.status().state).toBe('CLOSED')
    await nats.stop()
  })
})
