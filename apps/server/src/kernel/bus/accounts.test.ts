import { randomBytes } from 'node:crypto'
import { connect, jwtAuthenticator, type NatsConnection } from '@nats-io/transport-node'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test, vi } from 'vitest'
import { ownPlatform, startNats } from '../../testing/nats.ts'
import { testDatabase } from '../../testing/world.ts'
import { ids, systemClock } from '../clock/index.ts'
import { openDb, sql, type Db } from '../db/index.ts'
import { openVault } from '../vault/index.ts'
import { openAccounts, type Accounts } from './accounts.ts'
import { openBus, type Bus } from './connection.ts'
import { readJwt, type AccountClaims } from './jwt.ts'
import { newNkey } from './nkeys.ts'
import type { UserCredential } from './users.ts'

const log = pino({ level: 'silent' })
const vault = openVault([randomBytes(32)])
const text = (data: Uint8Array) => new TextDecoder().decode(data)
const heartbeat = { keyId: 'k', mayCancel: false, pub: { allow: ['sys.heartbeat'] }, sub: { allow: ['job.>'] } }
const extension = { keyId: 'k', mayCancel: false, pub: {}, sub: { allow: ['cirata.extensions.e.>'] } }

let database: Awaited<ReturnType<typeof testDatabase>>
let db: Db
let bus: Bus
let accounts: Accounts
let tenantId: string
let ownerId: string
const open: NatsConnection[] = []

async function makeTenant(): Promise<{ tenantId: string; ownerId: string }> {
  const made = { tenantId: ids.next(), ownerId: ids.next() }
  await db.auth((tx) =>
    tx.run(sql`insert into tenants (id, slug, name) values (${made.tenantId}, ${made.tenantId}, 'T')`),
  )
  await db.tenant(made.tenantId, (tx) =>
    tx.run(
      sql`insert into principals (tenant_id, id, kind, subject, name) values (${made.tenantId}, ${made.ownerId}, 'user', 'u', 'u')`,
    ),
  )
  return made
}

async function client(credential: UserCredential, url = inject('nats').url): Promise<NatsConnection> {
  const authenticator = jwtAuthenticator(credential.jwt, new TextEncoder().encode(credential.seed))
  const connection = await connect({
    servers: url,
    authenticator,
    inboxPrefix: credential.inboxPrefix,
    reconnect: false,
  })
  open.push(connection)
  return connection
}

beforeAll(async () => {
  database = await testDatabase()
  db = openDb({ url: database.url, log })
  bus = await openBus({ urls: [inject('nats').url], keys: ownPlatform(inject('nats').keys), log })
})
beforeEach(async () => {
  accounts = openAccounts({ db, bus, vault, clock: systemClock })
  ;({ tenantId, ownerId } = await makeTenant())
})
afterEach(() => Promise.all(open.splice(0).map((connection) => connection.close())))
afterAll(async () => {
  await bus.close()
  await db.close()
  await database.drop()
})

describe('accounts', () => {
  test('are made once, whoever asks at the same time', async () => {
    const made = await Promise.all(
      [1, 2, 3, 4].map(() => db.tenant(tenantId, (tx) => accounts.ensureTenantAccount(tx, tenantId))),
    )
    expect(new Set(made.map((row) => row.publicKey)).size).toBe(1)
    const own = await db.tenant(tenantId, (tx) => accounts.ensureUserAccount(tx, tenantId, ownerId))
    expect(own.publicKey).not.toBe(made[0]?.publicKey)
  })

  test('keep their seed sealed, bound to their row', async () => {
    const row = await db.tenant(tenantId, (tx) => accounts.ensureTenantAccount(tx, tenantId))
    expect(row.sealedSeed).not.toMatch(/SA[A-Z2-7]{56}/)
    expect(vault.open(row.sealedSeed, `nats-account:${row.publicKey}`)).toMatch(/^SA[A-Z2-7]{56}$/)
    expect(() => vault.open(row.sealedSeed, `nats-account:${newNkey('account').publicKey}`)).toThrow()
  })

  test('lead back to their tenant and owner, also those made after somebody asked in vain', async () => {
    expect(await accounts.findAccount(newNkey('account').publicKey)).toBeUndefined()
    const [shared, own] = [
      await accounts.mint({ tenantId }, heartbeat),
      await accounts.mint({ tenantId, ownerId }, extension),
    ]
    expect(await accounts.findAccount(shared.account)).toEqual({ tenantId })
    expect(await accounts.findAccount(own.account)).toEqual({ tenantId, ownerId })
  })

  test('of another tenant are not seen in a tenant’s transaction', async () => {
    await accounts.mint({ tenantId }, heartbeat)
    const stranger = await makeTenant()
    const rows = await db.tenant(stranger.tenantId, (tx) => tx.many(sql`select 1 from nats_accounts`))
    expect(rows).toEqual([])
  })
})

describe('a minted credential', () => {
  test('works at once: the worker hears its tenant’s jobs, the platform knows the account', async () => {
    const credential = await accounts.mint({ tenantId }, heartbeat)
    const worker = await client(credential)
    const jobs: string[] = []
    worker.subscribe('job.>', { callback: (_error, msg) => void jobs.push(msg.string()) })
    await worker.flush()
    const heard: string[] = []
    const listening = bus.fromAccounts('sys.heartbeat', (message) => void heard.push(message.account))
    await bus.ping()
    bus.toAccount(credential.account, 'job.a', Buffer.from('do'))
    worker.publish('sys.heartbeat', 'alive')
    await vi.waitFor(() => expect([jobs, heard]).toEqual([['do'], [credential.account]]))
    listening.close()
  })

  test('of a user stands in the user’s account, and in no other', async () => {
    const credential = await accounts.mint({ tenantId, ownerId }, extension)
    const service = await client(credential)
    service.subscribe('cirata.extensions.e.ping', { callback: (_error, msg) => void msg.respond('pong') })
    await service.flush()
    const ask = (account: string) =>
      bus.requestAccount(account, 'cirata.extensions.e.ping', new Uint8Array(), { timeoutMs: 2000 })
    expect(text((await ask(credential.account)).data)).toBe('pong')
    const shared = await accounts.mint({ tenantId }, heartbeat)
    await expect(ask(shared.account)).rejects.toMatchObject({ details: { reason: 'no responders' } })
  })

  test('with worker subjects is refused in a user account', async () => {
    await expect(accounts.mint({ tenantId, ownerId }, heartbeat)).rejects.toMatchObject({ code: 'VAL_PATTERN' })
  })

  test('is refused after its revocation, and minted again in the same second works', async () => {
    const user = newNkey('user')
    const owner = { tenantId }
    const credential = await accounts.mint(owner, { ...heartbeat, user })
    const [worker, bystander] = [await client(credential), await client(await accounts.mint(owner, heartbeat))]
    await accounts.revoke(owner, [user.publicKey])
    await worker.closed()
    await expect(client(credential)).rejects.toThrow(/Authorization/)
    await (await client(await accounts.mint(owner, { ...heartbeat, user }))).flush()
    await bystander.flush()
  })

  test('ends when it expires', async () => {
    const expires = Math.floor(Date.now() / 1000) + 2
    const worker = await client(await accounts.mint({ tenantId }, { ...heartbeat, expires }))
    await worker.closed()
    expect(Date.now()).toBeGreaterThanOrEqual(expires * 1000)
  })
})

describe('revocations', () => {
  test('of two replicas at the same time are both in force', async () => {
    const replica = openAccounts({ db, bus, vault, clock: systemClock })
    const owner = { tenantId }
    const users = Array.from({ length: 6 }, () => newNkey('user'))
    const { account } = await accounts.mint(owner, heartbeat)
    await Promise.all(users.map((user, index) => (index % 2 ? accounts : replica).revoke(owner, [user.publicKey])))
    const stored = readJwt<AccountClaims>((await bus.resolver.lookup(account)) ?? '')
    expect(Object.keys(stored?.nats.revocations ?? {}).sort()).toEqual(users.map((user) => user.publicKey).sort())
  })

  test('are forgotten when the credentials have expired by themselves', async () => {
    const owner = { tenantId }
    const [past, future] = [newNkey('user').publicKey, newNkey('user').publicKey]
    const { account } = await accounts.mint(owner, heartbeat)
    const now = Math.floor(Date.now() / 1000)
    await accounts.revoke(owner, [past], now - 1)
    await accounts.revoke(owner, [future], now + 100)
    const stored = readJwt<AccountClaims>((await bus.resolver.lookup(account)) ?? '')
    expect(Object.keys(stored?.nats.revocations ?? {})).toEqual([future])
  })
})

describe('the rows are the record', () => {
  test('a removed account is cut off, and a later key gets a new one', async () => {
    const credential = await accounts.mint({ tenantId }, heartbeat)
    const worker = await client(credential)
    await accounts.remove({ tenantId })
    await worker.closed()
    expect(await accounts.findAccount(credential.account)).toBeUndefined()
    expect(await accounts.push(credential.account)).toBe(false)
    expect((await accounts.mint({ tenantId }, heartbeat)).account).not.toBe(credential.account)
  })

  test('a nats-server that lost its disk has all accounts again after the rebuild, revocations included', async () => {
    const credentials = [
      await accounts.mint({ tenantId }, heartbeat),
      await accounts.mint({ tenantId, ownerId }, extension),
    ]
    const user = newNkey('user')
    const revoked = await accounts.mint({ tenantId }, { ...heartbeat, user })
    await accounts.revoke({ tenantId }, [user.publicKey])
    const empty = await startNats({ keys: bus.keys })
    const elsewhere = await openBus({ urls: [empty.url], keys: bus.keys, log })
    await expect(client(must(credentials[0]), empty.url)).rejects.toThrow(/Authorization/)
    const count = await openAccounts({ db, bus: elsewhere, vault, clock: systemClock }).rebuildAccounts()
    expect(count).toBeGreaterThanOrEqual(2)
    for (const credential of credentials) await (await client(credential, empty.url)).flush()
    await expect(client(revoked, empty.url)).rejects.toThrow(/Authorization/)
    await elsewhere.close()
    await empty.stop()
  })
})

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('missing')
  return value
}
