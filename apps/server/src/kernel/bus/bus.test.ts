import { connect, headers, jwtAuthenticator, type Msg, type NatsConnection } from '@nats-io/transport-node'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test, vi } from 'vitest'
import { ownPlatform } from '../../testing/nats.ts'
import { accountClaims, type AccountKind } from './account-claims.ts'
import { newPacket, encodePacket } from './cap.ts'
import { openBus, type Bus } from './connection.ts'
import { signJwt } from './jwt.ts'
import type { AccountMessage } from './message.ts'
import { newNkey, type Nkey } from './nkeys.ts'
import { mintUser, type UserCredential } from './users.ts'

const log = pino({ level: 'silent' })
const bytes = (text: string) => new TextEncoder().encode(text)
const text = (data: Uint8Array) => new TextDecoder().decode(data)
const now = () => Math.floor(Date.now() / 1000)

let bus: Bus
let replica: Bus
let tenant: Nkey
let other: Nkey
let own: Nkey
const open: NatsConnection[] = []
const listening: { close(): void }[] = []

async function makeAccount(
  kind: AccountKind,
  revocations: Record<string, number> = {},
  key = newNkey('account'),
): Promise<Nkey> {
  const nats = accountClaims(kind, key.publicKey, bus.keys.platform.publicKey, revocations)
  const jwt = signJwt(bus.keys.operator, { subject: key.publicKey, name: kind, issuedAt: now(), nats })
  await bus.resolver.push(key.publicKey, jwt)
  return key
}

function mint(
  account: Nkey,
  kind: AccountKind,
  pub: string[],
  sub: string[],
  over: { mayCancel?: boolean; user?: Nkey; issuedAt?: number } = {},
) {
  const keyId = `k${Math.random().toString(36).slice(2)}`
  return mintUser(account, {
    keyId,
    kind,
    mayCancel: false,
    issuedAt: now(),
    ...over,
    pub: { allow: pub },
    sub: { allow: sub },
  })
}

async function client(credential: UserCredential): Promise<NatsConnection & { refusals: string[] }> {
  const connection = await connect({
    servers: inject('nats').url,
    authenticator: jwtAuthenticator(credential.jwt, bytes(credential.seed)),
    inboxPrefix: credential.inboxPrefix,
    reconnect: false,
  })
  open.push(connection)
  const refusals: string[] = []
  async function watch() {
    for await (const status of connection.status()) if (status.type === 'error') refusals.push(status.error.message)
  }
  void watch()
  return Object.assign(connection, { refusals })
}

/** Collects what a client hears; the subscription is in force when this resolves. */
async function hear(connection: NatsConnection, subject: string, queue?: string): Promise<Msg[]> {
  const heard: Msg[] = []
  connection.subscribe(subject, { queue, callback: (error, msg) => void (error ? undefined : heard.push(msg)) })
  await connection.flush()
  return heard
}

/** Collects what the platform hears from accounts. */
async function platformHears(pattern: string): Promise<AccountMessage[]> {
  const heard: AccountMessage[] = []
  listening.push(bus.fromAccounts(pattern, (message) => void heard.push(message)))
  await bus.ping()
  return heard
}

/** A message sent after those whose absence is to be shown: when it has arrived, they would have. */
async function marker(connection: NatsConnection, heard: Msg[], subject: string): Promise<void> {
  const before = heard.length
  bus.toAccount(tenant.publicKey, subject, bytes('marker'))
  await vi.waitFor(() => expect(heard.length).toBeGreaterThan(before))
  await connection.flush()
}

beforeAll(async () => {
  const keys = ownPlatform(inject('nats').keys)
  bus = await openBus({ urls: [inject('nats').url], keys, log })
  replica = await openBus({ urls: [inject('nats').url], keys, log })
  ;[tenant, other, own] = await Promise.all([makeAccount('tenant'), makeAccount('tenant'), makeAccount('user')])
})
afterEach(async () => {
  for (const each of listening.splice(0)) each.close()
  await Promise.all(open.splice(0).map((connection) => connection.close()))
})
afterAll(() => Promise.all([bus.close(), replica.close()]))

describe('platform to workers', () => {
  test('a worker hears the jobs of its tenant; the worker of another tenant hears nothing', async () => {
    const worker = await client(mint(tenant, 'tenant', ['sys.job.result'], ['job.>', 'worker.w1.jobs']))
    const foreign = await client(mint(other, 'tenant', ['sys.job.result'], ['job.>', 'worker.w1.jobs']))
    const [jobs, direct, elsewhere] = [
      await hear(worker, 'job.>'),
      await hear(worker, 'worker.w1.jobs'),
      await hear(foreign, '>'),
    ]
    expect(bus.toAccount(tenant.publicKey, 'job.deploy.web', bytes('do'))).toBe(true)
    bus.toAccount(tenant.publicKey, 'worker.w1.jobs', bytes('you'))
    await vi.waitFor(() => expect([jobs.length, direct.length]).toEqual([1, 1]))
    expect(jobs[0]?.subject).toBe('job.deploy.web')
    expect(text(direct[0]?.data ?? bytes(''))).toBe('you')
    await foreign.flush()
    expect(elsewhere).toEqual([])
  })

  test('of a queue group one worker gets each job', async () => {
    const workers = await Promise.all([1, 2].map(() => client(mint(tenant, 'tenant', [], ['job.> pool']))))
    const heard = await Promise.all(workers.map((worker) => hear(worker, 'job.pool', 'pool')))
    for (let index = 0; index < 20; index++) bus.toAccount(tenant.publicKey, 'job.pool', bytes(`${index}`))
    await vi.waitFor(() => expect(heard.flat()).toHaveLength(20))
    expect(heard.every((list) => list.length > 0)).toBe(true)
  })

  test('a user account hears no job, even with a key for everything', async () => {
    const admin = await client(mint(own, 'user', ['>'], ['>']))
    const heard = await hear(admin, '>')
    bus.toAccount(own.publicKey, 'job.x', bytes('never'))
    bus.toAccount(own.publicKey, 'cirata.extensions.e.ping', bytes('yes'))
    await vi.waitFor(() => expect(heard).toHaveLength(1))
    expect(heard[0]?.subject).toBe('cirata.extensions.e.ping')
  })
})

describe('no key reaches a worker past policy', () => {
  const pub = ['sys.job.submit', 'cirata.services.>', 'chat', 'job.x']

  test('not by publishing a job, whatever it asked for', async () => {
    const worker = await client(mint(tenant, 'tenant', [], ['job.>']))
    const evil = await client(mint(tenant, 'tenant', pub, []))
    const jobs = await hear(worker, 'job.>')
    evil.publish('job.x', bytes('evil'))
    evil.publish('worker.w1.jobs', bytes('evil'))
    await vi.waitFor(() => expect(evil.refusals).toHaveLength(2))
    await marker(worker, jobs, 'job.end')
    expect(jobs.map((job) => job.subject)).toEqual(['job.end'])
  })

  test('not by answering a message that it sent to itself', async () => {
    const worker = await client(mint(tenant, 'tenant', [], ['job.>']))
    const evil = await client(mint(tenant, 'tenant', pub, ['chat', 'sys.job.cancel']))
    const jobs = await hear(worker, 'job.>')
    const echo = await hear(evil, 'chat')
    evil.publish('chat', bytes('me'), { reply: 'job.evil' })
    await vi.waitFor(() => expect(echo).toHaveLength(1))
    evil.publish('job.evil', bytes('evil'))
    await vi.waitFor(() => expect(evil.refusals).toHaveLength(1))
    await marker(worker, jobs, 'job.end')
    expect(jobs.map((job) => job.subject)).toEqual(['job.end'])
  })

  test('not through the platform’s answer to a reply subject of its choice: an answer never reads as a packet', async () => {
    const worker = await client(mint(tenant, 'tenant', [], ['job.>']))
    const evil = await client(mint(tenant, 'tenant', pub, []))
    const jobs = await hear(worker, 'job.>')
    const job = encodePacket(
      newPacket('t', 's', Date.now(), { case: 'jobRequest', value: { jobId: 'evil', topic: 'job.evil' } }),
    )
    const refused: unknown[] = []
    listening.push(
      bus.fromAccounts('cirata.services.>', (message) => {
        try {
          message.respond(message.data)
        } catch (error) {
          refused.push(error)
          message.respond(bytes('{}'))
        }
      }),
    )
    await bus.ping()
    evil.publish('cirata.services.echo', job, { reply: 'job.evil' })
    await vi.waitFor(() => expect(jobs).toHaveLength(1))
    expect(text(jobs[0]?.data ?? job)).toBe('{}')
    expect(refused).toHaveLength(1)
  })

  test('not through JetStream', async () => {
    const evil = await client(mint(tenant, 'tenant', ['>'], ['>']))
    await expect(evil.request('$JS.API.INFO', '', { timeout: 500 })).rejects.toThrow()
    expect(evil.refusals.join()).toContain('$JS.API.INFO')
  })

  test('and cancels only with the right to', async () => {
    const worker = await client(mint(tenant, 'tenant', [], ['sys.job.cancel']))
    const cancels = await hear(worker, 'sys.job.cancel')
    const without = await client(mint(tenant, 'tenant', ['sys.job.cancel'], []))
    without.publish('sys.job.cancel', bytes('no'))
    await vi.waitFor(() => expect(without.refusals).toHaveLength(1))
    const platform = await platformHears('sys.job.cancel')
    const entitled = await client(mint(tenant, 'tenant', ['sys.job.cancel'], [], { mayCancel: true }))
    entitled.publish('sys.job.cancel', bytes('please'))
    await vi.waitFor(() => expect(platform).toHaveLength(1))
    expect(cancels.map((msg) => text(msg.data))).toEqual(['please'])
  })
})

describe('accounts to the platform', () => {
  test('the account is known from the subject and the user from the server; a forged identity is replaced', async () => {
    const heard = await platformHears('sys.job.submit')
    const credential = mint(tenant, 'tenant', ['sys.job.submit'], [])
    const caller = await client(credential)
    const forged = headers()
    forged.set('Nats-Request-Info', JSON.stringify({ acc: other.publicKey, user: 'UFORGED' }))
    caller.publish('sys.job.submit', bytes('one'), { headers: forged })
    await vi.waitFor(() => expect(heard).toHaveLength(1))
    expect(heard[0]).toMatchObject({
      subject: 'sys.job.submit',
      account: tenant.publicKey,
      user: credential.publicKey,
      expectsReply: false,
    })
  })

  test('a key cannot speak as another account', async () => {
    const heard = await platformHears('>')
    const caller = await client(mint(own, 'user', ['>'], []))
    caller.publish(`in.${tenant.publicKey}.sys.job.submit`, bytes('forged'))
    caller.publish('sys.job.result', bytes('a user account has no such import'))
    caller.publish('cirata.services.x', bytes('real'))
    await vi.waitFor(() => expect(heard).toHaveLength(1))
    expect(heard[0]).toMatchObject({ account: own.publicKey, subject: 'cirata.services.x' })
  })

  test('results carry no identity header but the account', async () => {
    const heard = await platformHears('sys.job.result')
    const worker = await client(mint(tenant, 'tenant', ['sys.job.result'], []))
    worker.publish('sys.job.result', bytes('done'))
    await vi.waitFor(() => expect(heard).toHaveLength(1))
    expect(heard[0]).toMatchObject({ account: tenant.publicKey, subject: 'sys.job.result' })
    expect(heard[0]?.user).toBeUndefined()
  })

  test('a request is answered with data and headers', async () => {
    listening.push(
      bus.fromAccounts('cirata.services.>', (message) =>
        message.respond(bytes(`${message.subject} ${message.header('X-Ask')}`), { 'X-Answer': 'yes' }),
      ),
    )
    await bus.ping()
    const caller = await client(mint(own, 'user', ['cirata.services.keys.list'], []))
    const ask = headers()
    ask.set('X-Ask', 'please')
    const answer = await caller.request('cirata.services.keys.list', bytes(''), { timeout: 2000, headers: ask })
    expect([answer.string(), answer.headers?.get('X-Answer')]).toEqual(['cirata.services.keys.list please', 'yes'])
  })

  test('bucket writes are heard under their own name', async () => {
    const heard = await platformHears('$KV.extensions.>')
    const caller = await client(mint(own, 'user', [], []))
    caller.publish('$KV.extensions.storage', bytes('{}'))
    await vi.waitFor(() => expect(heard).toHaveLength(1))
    expect(heard[0]?.subject).toBe('$KV.extensions.storage')
  })

  test('what a stream sends on behalf of nobody is dropped', async () => {
    const heard = await platformHears('cirata.services.>')
    const caller = await client(mint(own, 'user', ['feed', 'cirata.services.last'], []))
    const config = {
      name: 'feed',
      subjects: ['feed'],
      max_bytes: 10_000,
      republish: { src: 'feed', dest: 'cirata.services.admin' },
    }
    const made = await caller.request('$JS.API.STREAM.CREATE.feed', JSON.stringify(config), { timeout: 2000 })
    expect(made.json<{ error?: unknown }>().error).toBeUndefined()
    const forged = headers()
    forged.set('Nats-Request-Info', JSON.stringify({ acc: own.publicKey, user: newNkey('user').publicKey }))
    await caller.request('feed', bytes('x'), { timeout: 2000, headers: forged })
    caller.publish('cirata.services.last', bytes('end'))
    await vi.waitFor(() => expect(heard).toHaveLength(1))
    expect(heard[0]?.subject).toBe('cirata.services.last')
  })

  test('of two replicas one gets each message, and the platform’s own cancel does not come back', async () => {
    const heard: string[] = []
    for (const each of [bus, replica])
      listening.push(each.fromAccounts('sys.job.cancel', (message) => void heard.push(text(message.data))))
    await Promise.all([bus.ping(), replica.ping()])
    const worker = await client(mint(tenant, 'tenant', ['sys.job.cancel'], ['sys.job.cancel'], { mayCancel: true }))
    const cancels = await hear(worker, 'sys.job.cancel')
    bus.toAccount(tenant.publicKey, 'sys.job.cancel', bytes('ours'))
    await vi.waitFor(() => expect(cancels).toHaveLength(1))
    worker.publish('sys.job.cancel', bytes('theirs'))
    await vi.waitFor(() => expect(heard).toContain('theirs'))
    expect(heard).toEqual(['theirs'])
  })
})

describe('asking somebody in an account', () => {
  test('brings the answer', async () => {
    const service = await client(mint(own, 'user', [], ['cirata.extensions.echo.>']))
    service.subscribe('cirata.extensions.echo.*', {
      callback: (_error, msg) => void msg.respond(`echo ${msg.string()}`),
    })
    await service.flush()
    const answer = await bus.requestAccount(own.publicKey, 'cirata.extensions.echo.a', bytes('hi'), { timeoutMs: 2000 })
    expect(text(answer.data)).toBe('echo hi')
  })

  test('fails at once when nobody listens, and after the time when nobody answers', async () => {
    const started = performance.now()
    const nobody = bus.requestAccount(own.publicKey, 'cirata.extensions.none', bytes(''), { timeoutMs: 10_000 })
    await expect(nobody).rejects.toMatchObject({ code: 'SYS_UNAVAILABLE', details: { reason: 'no responders' } })
    expect(performance.now() - started).toBeLessThan(1000)
    const mute = await client(mint(own, 'user', [], ['cirata.extensions.mute']))
    await hear(mute, 'cirata.extensions.mute')
    const silent = bus.requestAccount(own.publicKey, 'cirata.extensions.mute', bytes(''), { timeoutMs: 100 })
    await expect(silent).rejects.toMatchObject({ details: { reason: 'timeout' } })
  })

  test('takes no answer from another account', async () => {
    const service = await client(mint(own, 'user', [], ['cirata.extensions.slow']))
    const stranger = await client(mint(other, 'tenant', [], []))
    service.subscribe('cirata.extensions.slow', {
      callback: (_error, msg) => {
        stranger.publish(msg.reply ?? '', bytes('forged'))
        void stranger.flush().then(() => msg.respond('real'))
      },
    })
    await service.flush()
    const answer = await bus.requestAccount(own.publicKey, 'cirata.extensions.slow', bytes(''), { timeoutMs: 2000 })
    expect(text(answer.data)).toBe('real')
    expect(stranger.refusals).toEqual([])
  })

  test('gathers all answers until they stop coming', async () => {
    for (const name of ['one', 'two']) {
      const service = await client(mint(own, 'user', [], []))
      service.subscribe('$SRV.PING', { callback: (_error, msg) => void msg.respond(name) })
      await service.flush()
    }
    const answers = await bus.gatherAccount(own.publicKey, '$SRV.PING', bytes(''), { timeoutMs: 5000, max: 2 })
    expect(answers.map(({ data }) => text(data)).sort()).toEqual(['one', 'two'])
    const stalled = await bus.gatherAccount(own.publicKey, '$SRV.PING', bytes(''), { timeoutMs: 5000, stallMs: 50 })
    expect(stalled).toHaveLength(2)
    expect(await bus.gatherAccount(other.publicKey, '$SRV.PING', bytes(''), { timeoutMs: 5000 })).toEqual([])
  })
})

describe('revocation', () => {
  test('drops the live connection and refuses the credential; a later one of the same key works', async () => {
    const account = await makeAccount('tenant')
    const user = newNkey('user')
    const credential = mint(account, 'tenant', ['sys.heartbeat'], [], { user })
    const worker = await client(credential)
    const at = now()
    await makeAccount('tenant', { [user.publicKey]: at }, account)
    await worker.closed()
    await expect(client(credential)).rejects.toThrow(/Authorization/)
    const again = await client(mint(account, 'tenant', ['sys.heartbeat'], [], { user, issuedAt: at + 1 }))
    await again.flush()
  })

  test('a removed account is cut off', async () => {
    const account = await makeAccount('tenant')
    const credential = mint(account, 'tenant', [], [])
    const worker = await client(credential)
    await bus.resolver.remove([account.publicKey])
    await worker.closed()
    await expect(client(credential)).rejects.toThrow(/Authorization/)
    expect(await bus.resolver.lookup(account.publicKey)).toBeUndefined()
  })
})
