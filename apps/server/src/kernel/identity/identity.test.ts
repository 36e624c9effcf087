import { connect, jwtAuthenticator, type NatsConnection } from '@nats-io/transport-node'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openReplica, openWorld, type World } from '../../testing/world.ts'
import { sql } from '../db/index.ts'
import { createKey, type NewKey } from './keys.ts'
import { holds, type Principal } from './principal.ts'
import { openSession } from './sessions.ts'
import { createUser } from './users.ts'

let world: World
const open: NatsConnection[] = []
beforeAll(async () => {
  world = await openWorld({ movableClock: true })
})
afterEach(() => Promise.all(open.splice(0).map((connection) => connection.close())))
afterAll(() => world.close())

const now = () => world.kernel.clock.now()

const newUser = (username: string, role?: string) =>
  world.kernel.db.auth((tx) =>
    createUser(tx, now(), { tenantId: world.a.id, username, ...(role === undefined ? {} : { role }) }),
  )

const newKey = (ownerId: string, more: Partial<NewKey> = {}) =>
  world.kernel.db.auth((tx) => createKey(tx, now(), { tenantId: world.a.id, ownerId, name: 'k', ...more }))

async function onNats(token: string): Promise<NatsConnection> {
  const { jwt, seed } = await world.kernel.identity.natsCredential(await world.principal(token))
  const connection = await connect({
    servers: world.kernel.natsUrls.client,
    authenticator: jwtAuthenticator(jwt, new TextEncoder().encode(seed)),
    reconnect: false,
  })
  open.push(connection)
  return connection
}

const sweep = () => world.kernel.identity.sweep(new AbortController().signal)

describe('the sweep', () => {
  test('cuts off what a crash left connected: a key that ended, an owner who was disabled', async () => {
    const owner = await newUser('left-over', 'developer')
    const [ended, kept, disabled] = [await newKey(owner.id), await newKey(owner.id), await newKey(world.a.adminId)]
    const connections = [await onNats(ended.token), await onNats(kept.token), await onNats(disabled.token)] as const
    const { db } = world.kernel
    // As if the process had died right after each commit.
    await db.tenant(world.a.id, (tx) => tx.run(sql`update api_keys set revoked_at = now() where id = ${ended.key.id}`))
    await sweep()
    await connections[0].closed()
    await connections[1].flush()
    await db.tenant(world.a.id, (tx) => tx.run(sql`update users set disabled = true where id = ${owner.id}`))
    await sweep()
    await connections[1].closed()
    await connections[2].flush()
    const rows = await db.tenant(world.a.id, (tx) =>
      tx.many<{ id: string }>(sql`select id from api_keys where nats_minted_at is not null and owner_id = ${owner.id}`),
    )
    expect(rows).toEqual([])
  })

  test('removes keys for trying things out once they have passed, and no other', async () => {
    const soon = now() + 60_000
    const passing = await newKey(world.a.adminId, { kind: 'tryit', expiresAt: soon })
    const kept = await newKey(world.a.adminId, { kind: 'cli', expiresAt: soon })
    world.clock?.advance(60_001)
    await sweep()
    const rows = await world.kernel.db.tenant(world.a.id, (tx) =>
      tx.many<{ id: string }>(sql`select id from api_keys where id = any(${[passing.key.id, kept.key.id]}::uuid[])`),
    )
    expect(rows).toEqual([{ id: kept.key.id }])
  })
})

describe('a principal', () => {
  test('of a user without roles is a viewer, also through a key', async () => {
    const user = await newUser('bare')
    const { token } = await newKey(user.id)
    expect(await world.principal(token)).toMatchObject({ roles: ['viewer'], ownerId: user.id })
  })

  test('of a session ends with idleness, and not while it is used', async () => {
    const user = await newUser('idler', 'viewer')
    const { token } = await world.kernel.db.auth((tx) =>
      openSession(tx, now(), { tenantId: world.a.id, principalId: user.id, kind: 'session', idleMs: 600_000 }),
    )
    for (let i = 0; i < 3; i++) {
      world.clock?.advance(400_000)
      expect(await world.principal(token)).toMatchObject({ id: user.id })
      const seen = now()
      await expect
        .poll(async () => {
          const [row] = await world.kernel.db.tenant(world.a.id, (tx) =>
            tx.many<{ at: number }>(sql`select last_seen_at as at from sessions where principal_id = ${user.id}`),
          )
          return row?.at
        })
        .toBe(seen)
    }
    world.clock?.advance(600_001)
    await expect(world.principal(token)).rejects.toMatchObject({ code: 'AUTH_TOKEN_EXPIRED' })
  })

  test('holds what its patterns cover, and never the reserved ones by a star', () => {
    const of = (...grants: string[][]) => ({ grants }) as unknown as Principal
    expect(holds(of(['*']), ['job:read', 'job:*', '*'])).toBe(true)
    expect(holds(of(['*']), ['platform:admin'])).toBe(false)
    expect(holds(of(['*', 'platform:admin']), ['platform:admin'])).toBe(true)
    expect(holds(of(['job:*']), ['job:read'])).toBe(true)
    expect(holds(of(['job:*']), ['*'])).toBe(false)
    expect(holds(of(['job:read']), ['job:*'])).toBe(false)
    expect(holds(of(['promotion:create@non-production']), ['promotion:create'])).toBe(false)
    expect(holds(of(['promotion:create']), ['promotion:create@non-production'])).toBe(true)
    expect(holds(of(['*'], ['!admin']), ['job:read'])).toBe(true)
    expect(holds(of(['*'], ['!admin']), ['role:admin'])).toBe(false)
    expect(holds(of(['*'], ['job:*']), ['log:read'])).toBe(false)
  })
})

test('another replica stops trusting what it remembers when rights change here', async () => {
  const replica = await openReplica(world)
  try {
    const user = await newUser('replicated', 'viewer')
    const { token } = await newKey(user.id)
    expect(await replica.authenticator.opaque(token)).toMatchObject({ roles: ['viewer'] })
    await world.kernel.identity.freezePrincipal(world.a.id, user.id)
    // The clock stands still: only the word of the other replica can have ended it.
    await expect
      .poll(() =>
        replica.authenticator.opaque(token).then(
          () => 'lives',
          () => 'ended',
        ),
      )
      .toBe('ended')
    // One authority: what one replica signs, the other knows.
    const { token: jwt } = await replica.tokens.issue(await world.principal(world.a.keys.viewer), 60_000)
    expect(await world.kernel.tokens.verify(jwt)).toMatchObject({ roles: ['viewer'], credential: 'token' })
  } finally {
    await replica.close()
  }
})
