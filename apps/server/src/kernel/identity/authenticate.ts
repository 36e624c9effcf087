import { Fault } from '@wheelhouse/contract'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock/index.ts'
import { at, type Db, sql, type Tx } from '../db/index.ts'
import type { CredentialKind, Principal, PrincipalKind } from './principal.ts'
import { groupsOf, patternsOf, rolesOf } from './roles.ts'
import { secretHash } from './tokens.ts'

/** A revoked credential works at most this long on a replica that has not heard of it yet (product.md: within a second). */
const CACHE_MS = 900

interface KeyRow {
  tenant_id: string
  slug: string
  id: string
  name: string
  owner_id: string
  owner_subject: string
  owner_name: string
  owner_kind: PrincipalKind
  roles: string[]
  admin: boolean
  kind: string
  expires_at: number | null
  revoked: boolean
  frozen: boolean
  disabled: boolean
}

interface SessionRow {
  tenant_id: string
  slug: string
  id: string
  principal_id: string
  subject: string
  name: string
  email: string | null
  groups: string[]
  expires_at: number
  idle_ms: number
  last_seen_at: number
  frozen: boolean
  disabled: boolean
}

/** Finds the principal behind an opaque credential. Remembers it for under a second; `forget` drops what is remembered. */
export interface Authenticator {
  opaque(token: string): Promise<Principal>
  forget(): void
}

export function authenticator(db: Db, clock: Clock): Authenticator {
  const cache = new LRUCache<string, { principal: Principal; until: number }>({ max: 10_000 })
  const touched = new Map<string, number>()

  /** Notes use at most once a minute a credential, off the request's path. */
  function touch(kind: 'key' | 'session', tenantId: string, id: string): void {
    const now = clock.now()
    if ((touched.get(id) ?? 0) > now - 60_000) return
    if (touched.size > 20_000) touched.clear()
    touched.set(id, now)
    const statement =
      kind === 'key'
        ? sql`update api_keys set last_used_at = ${at(now)} where tenant_id = ${tenantId} and id = ${id}`
        : sql`update sessions set last_seen_at = ${at(now)} where tenant_id = ${tenantId} and id = ${id}`
    // A lost note costs nothing but the note: the credential itself was already accepted.
    db.auth((tx) => tx.run(statement)).catch(() => touched.delete(id))
  }

  return {
    async opaque(token) {
      const hash = secretHash(token)
      const cacheKey = hash.toString('base64')
      const now = clock.now()
      const known = cache.get(cacheKey)
      const principal = known && known.until > now ? known.principal : await db.auth((tx) => find(tx, hash, now))
      if (principal.expiresAt !== undefined && principal.expiresAt <= now) throw new Fault('AUTH_TOKEN_EXPIRED')
      if (known?.principal !== principal) cache.set(cacheKey, { principal, until: now + CACHE_MS })
      if (principal.keyId) touch('key', principal.tenantId, principal.keyId)
      else if (principal.sessionId) touch('session', principal.tenantId, principal.sessionId)
      return principal
    },
    forget: () => cache.clear(),
  }
}

async function find(tx: Tx, hash: Buffer, now: number): Promise<Principal> {
  const key = await tx.maybe<KeyRow>(sql`
    select k.tenant_id, t.slug, k.id, k.name, k.owner_id, o.subject as owner_subject, o.name as owner_name, o.kind as owner_kind,
           k.roles, k.admin, k.kind, k.expires_at, k.revoked_at is not null as revoked,
           (o.state = 'frozen' or p.state = 'frozen' or t.state <> 'active') as frozen,
           (coalesce(u.disabled, false) or o.deleted_at is not null) as disabled
      from api_keys k
      join tenants t on t.id = k.tenant_id
      join principals p on p.tenant_id = k.tenant_id and p.id = k.id
      join principals o on o.tenant_id = k.tenant_id and o.id = k.owner_id
      left join users u on u.tenant_id = k.tenant_id and u.id = k.owner_id
     where k.secret_hash = ${hash}`)
  if (key) return keyPrincipal(tx, key)
  const session = await tx.maybe<SessionRow>(sql`
    select s.tenant_id, t.slug, s.id, s.principal_id, p.subject, p.name, u.email, s.groups, s.expires_at, s.idle_ms, s.last_seen_at,
           (p.state = 'frozen' or t.state <> 'active') as frozen,
           (coalesce(u.disabled, false) or p.deleted_at is not null) as disabled
      from sessions s
      join tenants t on t.id = s.tenant_id
      join principals p on p.tenant_id = s.tenant_id and p.id = s.principal_id
      left join users u on u.tenant_id = s.tenant_id and u.id = s.principal_id
     where s.token_hash = ${hash}`)
  if (!session) throw new Fault('AUTH_API_KEY_INVALID')
  if (session.frozen || session.disabled) throw new Fault('AUTH_TOKEN_REVOKED')
  if (session.last_seen_at + session.idle_ms < now) throw new Fault('AUTH_TOKEN_EXPIRED')
  return userPrincipal(tx, session, 'session')
}

async function keyPrincipal(tx: Tx, key: KeyRow): Promise<Principal> {
  if (key.revoked || key.frozen || key.disabled) throw new Fault('AUTH_TOKEN_REVOKED')
  const ownerGroups = await groupsOf(tx, key.tenant_id, key.owner_id)
  const ownerRoles = await rolesOf(tx, key.tenant_id, key.owner_id, ownerGroups)
  const ownerPatterns = await patternsOf(tx, key.tenant_id, ownerRoles)
  const keyPatterns = key.roles.length === 0 ? ownerPatterns : await patternsOf(tx, key.tenant_id, key.roles)
  return {
    tenantId: key.tenant_id,
    tenantSlug: key.slug,
    id: key.id,
    kind: 'key',
    subject: key.owner_subject,
    name: key.name,
    roles: key.roles.length === 0 ? ownerRoles : key.roles,
    groups: ownerGroups,
    grants: key.admin ? [keyPatterns, ownerPatterns] : [keyPatterns, ownerPatterns, NOT_ADMIN],
    ownerId: key.owner_id,
    onBehalfOf: [key.owner_id],
    credential: 'key',
    keyId: key.id,
    ...(key.expires_at === null ? {} : { expiresAt: key.expires_at }),
  }
}

/** What a key without the admin flag may still do: everything but `X:admin` (decisions D3). */
const NOT_ADMIN = ['!admin'] as const

/** The principal of a live session, ticket or token of a user, with today's roles. */
export async function userPrincipal(
  tx: Tx,
  row: {
    tenant_id: string
    slug: string
    id: string
    principal_id: string
    subject: string
    name: string
    email: string | null
    groups: string[]
    expires_at: number
  },
  credential: CredentialKind,
): Promise<Principal> {
  const groups = [...new Set([...row.groups, ...(await groupsOf(tx, row.tenant_id, row.principal_id))])]
  const roles = await rolesOf(tx, row.tenant_id, row.principal_id, groups)
  return {
    tenantId: row.tenant_id,
    tenantSlug: row.slug,
    id: row.principal_id,
    kind: 'user',
    subject: row.subject,
    name: row.name,
    ...(row.email === null ? {} : { email: row.email }),
    // A user without roles is a viewer (unification §3).
    roles: roles.length === 0 ? ['viewer'] : roles,
    groups,
    grants: [await patternsOf(tx, row.tenant_id, roles.length === 0 ? ['viewer'] : roles)],
    onBehalfOf: [],
    credential,
    sessionId: row.id,
    expiresAt: row.expires_at,
  }
}
