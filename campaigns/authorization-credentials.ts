import { createHmac } from 'node:crypto'
import type { Surface } from '../packages/contract/src/index.ts'
import { sql } from '../apps/server/src/kernel/db/index.ts'
import {
  changeUser,
  closeSession,
  createKey,
  createUser,
  openSession,
  revokeKey,
} from '../apps/server/src/kernel/identity/index.ts'
import { makeTenant, type World } from '../apps/server/src/testing/world.ts'

/** How a caller shows a credential. */
export interface Shown {
  headers?: Record<string, string>
  query?: string
}

export interface BadCredential extends Shown {
  kind: string
  /** Surfaces on which this is what it looks like; absent: all. */
  surfaces?: readonly Surface[]
  /** On an upgrade too; some ways are taken there and nowhere else (fleet.md §3.6). */
  sockets: boolean
}

const bearer = (token: string): Shown => ({ headers: { authorization: `Bearer ${token}` } })

/** A key, a session and a cookie that count, of somebody who may do everything: each bad one is one of these with one thing wrong. */
export interface Good {
  key: string
  session: string
}

export async function goodCredentials(world: World): Promise<Good> {
  const { kernel, a } = world
  const now = kernel.clock.now()
  const { token } = await kernel.db.auth((tx) =>
    openSession(tx, now, { tenantId: a.id, principalId: a.adminId, kind: 'session' }),
  )
  return { key: a.keys['platform-admin'], session: token }
}

/** Credentials that must open nothing. All but the way in which they are bad, they belong to somebody who may do everything. */
export async function badCredentials(world: World, good: Good): Promise<BadCredential[]> {
  const { kernel, a } = world
  const now = kernel.clock.now()
  const key = (ownerId: string, more: { expiresAt?: number; tenantId?: string } = {}) =>
    kernel.db.auth((tx) => createKey(tx, now, { tenantId: a.id, ownerId, name: 'bad', admin: true, ...more }))
  const person = (name: string): Promise<string> =>
    kernel.db.auth(async (tx) => {
      const user = await createUser(tx, now, { tenantId: a.id, username: name, role: 'platform-admin' })
      return user.id
    })
  const session = (principalId: string, lifeMs?: number): Promise<string> =>
    kernel.db.auth(async (tx) => {
      const made = await openSession(tx, now, {
        tenantId: a.id,
        principalId,
        kind: 'session',
        ...(lifeMs === undefined ? {} : { lifeMs }),
      })
      return made.token
    })

  const revoked = await key(a.adminId)
  await kernel.db.tenant(a.id, (tx) => revokeKey(tx, now, revoked.key.id))
  const frozenKey = await key(a.adminId)
  await kernel.identity.freezePrincipal(a.id, frozenKey.key.id)
  const cold = await person('cold')
  const coldKey = await key(cold)
  await kernel.identity.freezePrincipal(a.id, cold)
  const off = await person('off')
  const [offSession, offKey] = [await session(off), await key(off)]
  await kernel.db.tenant(a.id, (tx) => changeUser(tx, now, off, { disabled: true }))
  const closed = await session(a.adminId)
  const closedPrincipal = await world.principal(closed)
  const { token: closedToken } = await kernel.tokens.issue(closedPrincipal, 600_000)
  await closeSession(kernel.db, closed)
  kernel.authenticator.forget()
  const asleep = await makeTenant(kernel, 'asleep')
  await kernel.db.auth((tx) => tx.run(sql`update tenants set state = 'suspended' where id = ${asleep.id}`))
  const expired = await key(a.adminId, { expiresAt: now - 1 })
  const { token: goodToken } = await kernel.tokens.issue(await world.principal(good.key), 600_000)
  const { jwt } = await kernel.identity.natsCredential(await world.principal(good.key))

  const sockets = { sockets: true } as const
  const plain = { sockets: false } as const
  return [
    { kind: 'none', ...sockets },
    { kind: 'empty', ...bearer(''), ...sockets },
    { kind: 'malformed', ...bearer('!!!'), ...sockets },
    { kind: 'long', ...bearer('x'.repeat(4000)), ...sockets },
    { kind: 'unknown key', ...bearer(`${good.key.slice(0, -6)}abcdef`), ...sockets },
    { kind: 'revoked key', ...bearer(revoked.token), ...sockets },
    { kind: 'expired key', ...bearer(expired.token), ...sockets },
    { kind: 'frozen key', ...bearer(frozenKey.token), ...sockets },
    { kind: 'key of a frozen person', ...bearer(coldKey.token), ...sockets },
    { kind: 'key of a disabled person', ...bearer(offKey.token), ...sockets },
    { kind: 'session of a disabled person', ...bearer(offSession), ...sockets },
    { kind: 'session that was closed', ...bearer(closed), ...sockets },
    { kind: 'session over its time', ...bearer(await session(a.adminId, -1)), ...sockets },
    { kind: 'key of a suspended tenant', ...bearer(asleep.keys['platform-admin']), ...sockets },
    { kind: 'token of a session that was closed', ...bearer(closedToken), ...sockets },
    { kind: 'token that was altered', ...bearer(altered(goodToken)), ...sockets },
    { kind: 'token that nobody signed', ...bearer(unsigned(a.adminId, a.id)), ...sockets },
    { kind: 'token that somebody else signed', ...bearer(forged(a.adminId, a.id)), ...sockets },
    { kind: 'credential of the bus', ...bearer(jwt), ...sockets },
    { kind: 'good key under another scheme', headers: { authorization: `Basic ${good.key}` }, ...sockets },
    { kind: 'good key without a scheme', headers: { authorization: good.key }, ...sockets },
    { kind: 'good key as ?token=', query: `token=${good.key}`, ...plain },
    { kind: 'good key as ?apiKey=', query: `apiKey=${good.key}`, ...plain },
    { kind: 'good key as ?ticket=', query: `ticket=${good.key}`, ...sockets },
    {
      kind: 'good key in a header of another surface',
      headers: { 'x-api-key': good.key },
      surfaces: ['platform', 'release'],
      ...sockets,
    },
    {
      kind: 'good session in a cookie where none counts',
      headers: { cookie: `wheelhouse_session=${good.session}; cordum_session=${good.session}` },
      surfaces: ['platform', 'release'],
      ...sockets,
    },
    {
      kind: 'good session in a cookie of another name',
      headers: { cookie: `session=${good.session}; wheelhouse_sessionx=${good.session}` },
      ...sockets,
    },
  ]
}

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const claims = (sub: string, tenant: string) => ({
  iss: 'wheelhouse',
  aud: 'wheelhouse',
  sub,
  tenant,
  tenantId: tenant,
  roles: ['platform-admin'],
  exp: Math.floor(Date.now() / 1000) + 3600,
})
const altered = (token: string): string => {
  const [head = '', body = '', signature = ''] = token.split('.')
  const said = JSON.parse(Buffer.from(body, 'base64url').toString()) as object
  return [head, part({ ...said, roles: ['platform-admin'], tenant_id: 'other' }), signature].join('.')
}
const unsigned = (sub: string, tenant: string): string =>
  `${part({ alg: 'none', typ: 'JWT' })}.${part(claims(sub, tenant))}.`
const forged = (sub: string, tenant: string): string => {
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims(sub, tenant))}`
  return `${text}.${createHmac('sha256', 'not the key').update(text).digest('base64url')}`
}
