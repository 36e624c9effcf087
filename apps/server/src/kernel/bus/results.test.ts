import { connect, jwtAuthenticator, type NatsConnection } from '@nats-io/transport-node'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest'
import { ownPlatform, startNats } from '../../testing/nats.ts'
import { accountClaims } from './account-claims.ts'
import { jetStreamAck } from './cap.ts'
import { openBus, type Bus } from './connection.ts'
import { signJwt } from './jwt.ts'
import { newNkey } from './nkeys.ts'
import type { CapturedResult } from './results.ts'
import { mintUser } from './users.ts'

const log = pino({ level: 'silent' })
const text = (data: Uint8Array) => new TextDecoder().decode(data)
const now = () => Math.floor(Date.now() / 1000)

async function workerOf(bus: Bus, url: string): Promise<{ worker: NatsConnection; account: string }> {
  const key = newNkey('account')
  const nats = accountClaims('tenant', key.publicKey, bus.keys.platform.publicKey)
  const jwt = signJwt(bus.keys.operator, { subject: key.publicKey, name: 'tenant', issuedAt: now(), nats })
  await bus.resolver.push(key.publicKey, jwt)
  const grant = { keyId: 'w', kind: 'tenant', mayCancel: false, issuedAt: now() } as const
  const credential = mintUser(key, { ...grant, pub: { allow: ['sys.job.result'] }, sub: {} })
  const authenticator = jwtAuthenticator(credential.jwt, new TextEncoder().encode(credential.seed))
  const worker = await connect({ servers: url, authenticator, inboxPrefix: credential.inboxPrefix })
  return { worker, account: key.publicKey }
}

async function drained(bus: Bus): Promise<CapturedResult[]> {
  const all: CapturedResult[] = []
  await bus.drainResults(async (results) => void all.push(...results))
  return all
}

describe('results of workers', () => {
  let bus: Bus
  let worker: NatsConnection
  let account: string
  beforeAll(async () => {
    const { url, keys } = inject('nats')
    bus = await openBus({ urls: [url], keys: ownPlatform(keys), log })
    await bus.ensureResults()
    ;({ worker, account } = await workerOf(bus, url))
  })
  afterAll(async () => {
    await worker.close()
    await bus.close()
  })

  test('that nobody heard are handed over once, with the account and the time', async () => {
    const before = Date.now()
    for (let index = 0; index < 1200; index++) worker.publish('sys.job.result', `${index}`)
    await worker.flush()
    const batches: number[] = []
    const seen: string[] = []
    const count = await bus.drainResults(async (results) => {
      batches.push(results.length)
      seen.push(...results.map((result) => text(result.data)))
      for (const result of results) expect(result.account).toBe(account)
      expect(results[0]?.at).toBeGreaterThanOrEqual(before - 1000)
      expect(results[0]?.at).toBeLessThanOrEqual(Date.now() + 1000)
    })
    expect(count).toBe(1200)
    expect(Math.max(...batches)).toBeLessThanOrEqual(500)
    expect(seen.map(Number).sort((one, other) => one - other)).toEqual(
      Array.from({ length: 1200 }, (_, index) => index),
    )
    expect(await drained(bus)).toEqual([])
  })

  test('that the handler failed on are not forgotten', async () => {
    worker.publish('sys.job.result', 'stubborn')
    await worker.flush()
    const failing = bus.drainResults(() => Promise.reject(new Error('the database is away')))
    await expect(failing).rejects.toThrow('the database is away')
    worker.publish('sys.job.result', 'next')
    await worker.flush()
    expect((await drained(bus)).map((result) => text(result.data))).toEqual(['next'])
  })

  test('are answered by us alone, not by the stream', async () => {
    const listening = bus.fromAccounts('sys.job.result', (message) => message.respond(jetStreamAck(41)))
    await bus.ping()
    const answer = await worker.request('sys.job.result', 'done', { timeout: 2000 })
    expect(answer.json()).toEqual({ stream: 'CORDUM_SYS', seq: 41 })
    listening.close()
  })

  test('need the stream only once: bringing it into being again changes nothing', async () => {
    await drained(bus)
    worker.publish('sys.job.result', 'kept')
    await worker.flush()
    await bus.ensureResults()
    expect((await drained(bus)).map((result) => text(result.data))).toEqual(['kept'])
  })
})

test('results survive the end of every replica and of the server', async () => {
  const nats = await startNats()
  const first = await openBus({ urls: [nats.url], keys: nats.keys, log })
  await first.ensureResults()
  const { worker } = await workerOf(first, nats.url)
  await first.close()
  worker.publish('sys.job.result', 'while nobody runs')
  await worker.flush()
  await worker.close()
  await nats.kill()
  await nats.restart()
  const second = await openBus({ urls: [nats.url], keys: nats.keys, log })
  await second.ensureResults()
  await vi.waitFor(async () =>
    expect((await drained(second)).map((result) => text(result.data))).toEqual(['while nobody runs']),
  )
  await second.close()
  await nats.stop()
})
