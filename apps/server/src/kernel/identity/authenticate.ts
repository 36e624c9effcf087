import { Fault } from '@wheelhouse/contract'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock/index.ts'
import { at, type Db, sql, type Statement, type Tx } from '../db/index.ts'
import type { CredentialKind, Principal, PrincipalKind } from './principal.ts'
import { groupsOf, patternsOf, type RoleRules, rolesOf, userRoles } from './roles.ts'
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
  session_id: string | null
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
  kind: PrincipalKind
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
  /** The principal of a NATS user key; throws AUTH_API_KEY_INVALID for one that is nobody's and AUTH_TOKEN_REVOKED for an ended one. */
  nkey(publicKey: string): Promise<Principal>
  /** Whether the credential behind an earlier answer still counts, asked of the database. */
  isLive(principal: Principal): Promise<boolean>
  forget(): void
}

export function authenticator(db: Db, clock: Clock, rules: RoleRules): Authenticator {
  const cache = new LRUCache<string, { principal: Principal; until: number }>({ max: 10_000 })
  const touched = new Map<string, number>()
  /** Grows when all is forgotten: what was being looked up at that moment may be old already and is not remembered. */
  let generation = 0
  const asking = new Map<string, Promise<Principal>>()

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

  /** Hundreds of requests of one caller find its memory gone at once: one of them asks for all. Who comes after a change asks anew. */
  function asked(cacheKey: string, look: (tx: Tx) => Promise<Principal>): Promise<Principal> {
    const key = `${generation} ${cacheKey}`
    const underWay = asking.get(key)
    if (underWay) return underWay
    const answer = db.auth(look).finally(() => asking.delete(key))
    asking.set(key, answer)
    return answer
  }

  async function remembered(cacheKey: string, look: (tx: Tx, now: number) => Promise<Principal>): Promise<Principal> {
    const now = clock.now()
    const known = cache.get(cacheKey)
    const begun = generation
    const principal = known && known.until > now ? known.principal : await asked(cacheKey, (tx) => look(tx, now))
    if (principal.expiresAt !== undefined && principal.expiresAt <= now) throw new Fault('AUTH_TOKEN_EXPIRED')
    if (known?.principal !== principal && begun === generation)
      cache.set(cacheKey, { principal, until: now + CACHE_MS })
    return principal
  }

  return {
    async opaque(token) {
      const hash = secretHash(token)
      const principal = await remembered(hash.toString('base64'), (tx, now) => findByHash(tx, rules, hash, now))
      if (principal.sessionId) touch('session', principal.tenantId, principal.sessionId)
      else if (principal.keyId) touch('key', principal.tenantId, principal.keyId)
      return principal
    },
    nkey: (publicKey) =>
      remembered(publicKey, async (tx) => {
        const principal = await findKeyPrincipal(tx, rules, sql`k.nats_public_key = ${publicKey}`)
        if (!principal) throw new Fault('AUTH_API_KEY_INVALID')
        return { ...principal, credential: 'bus' }
      }),
    async isLive(principal) {
      const now = clock.now()
      if (principal.expiresAt !== undefined && principal.expiresAt <= now) return false
      const { tenantId, keyId, sessionId } = principal
      return db.auth(async (tx) => {
        try {
          if (sessionId !== undefined)
            return (
              (await findSession(tx, rules, sql`s.tenant_id = ${tenantId} and s.id = ${sessionId}`, now)) !== undefined
            )
          if (keyId === undefined) return true
          return (await findKeyPrincipal(tx, rules, sql`k.tenant_id = ${tenantId} and k.id = ${keyId}`)) !== undefined
        } catch (error) {
          if (error instanceof Fault) return false
          throw error
        }
      })
    },
    forget() {
      generation += 1
      cache.clear()
    },
  }
}

async function findByHash(tx: Tx, rules: RoleRules, hash: Buffer, now: number): Promise<Principal> {
  const principal =
    (await findKeyPrincipal(tx, rules, sql`k.secret_hash = ${hash}`)) ??
    (await findSession(tx, rules, sql`s.token_hash = ${hash}`, now))
  if (!principal) throw new Fault('AUTH_API_KEY_INVALID')
  return principal
}

/** The principal of the one key that `which` names. Throws AUTH_TOKEN_REVOKED where it may act no more. */
export async function findKeyPrincipal(tx: Tx, rules: RoleRules, which: Statement): Promise<Principal | undefined> {
  const key = await tx.maybe<KeyRow>(sql`
    select k.tenant_id, t.slug, k.id, k.name, k.owner_id, o.subject as owner_subject, o.name as owner_name, o.kind as owner_kind,
           k.roles, k.admin, k.kind, k.session_id, k.expires_at, k.revoked_at is not null as revoked,
           (o.state = 'frozen' or p.state = 'frozen' or t.state <> 'active') as frozen,
           (coalesce(u.disabled, false) or o.deleted_at is not null) as disabled
      from api_keys k
      join tenants t on t.id = k.tenant_id
      join principals p on p.tenant_id = k.tenant_id and p.id = k.id
      join principals o on o.tenant_id = k.tenant_id and o.id = k.owner_id
      left join users u on u.tenant_id = k.tenant_id and u.id = k.owner_id
     where ${which}`)
  if (key?.session_id)
    return findSession(tx, rules, sql`s.tenant_id = ${key.tenant_id} and s.id = ${key.session_id}`, undefined)
  return key && keyPrincipal(tx, rules, key)
}

/** The principal of the one session that `which` names; `now` absent: without asking whether it was idle. */
async function findSession(
  tx: Tx,
  rules: RoleRules,
  which: Statement,
  now: number | undefined,
): Promise<Principal | undefined> {
  const session = await tx.maybe<SessionRow>(sql`
    select s.tenant_id, t.slug, s.id, s.principal_id, p.kind, p.subject, p.name, u.email, s.groups, s.expires_at, s.idle_ms, s.last_seen_at,
           (p.state = 'frozen' or t.state <> 'active') as frozen,
           (coalesce(u.disabled, false) or p.deleted_at is not null) as disabled
      from sessions s
      join tenants t on t.id = s.tenant_id
      join principals p on p.tenant_id = s.tenant_id and p.id = s.principal_id
      left join users u on u.tenant_id = s.tenant_id and u.id = s.principal_id
     where ${which}`)
  if (!session) return undefined
  if (session.frozen || session.disabled) throw new Fault('AUTH_TOKEN_REVOKED')
  if (now !== undefined && session.last_seen_at + session.idle_ms < now) throw new Fault('AUTH_TOKEN_EXPIRED')
  return userPrincipal(tx, rules, session, 'session')
}

async function keyPrincipal(tx: Tx, rules: RoleRules, key: KeyRow): Promise<Principal> {
  if (key.revoked || key.frozen || key.disabled) throw new Fault('AUTH_TOKEN_REVOKED')
  const { roles: ownerRoles, groups: ownerGroups } = await ownerStanding(
    tx,
    rules,
    key.tenant_id,
    key.owner_id,
    key.owner_kind,
  )
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

/** Groups and roles of whoever owns a key; a person without roles has the default one. */
export async function ownerStanding(
  tx: Tx,
  rules: RoleRules,
  tenantId: string,
  ownerId: string,
  ownerKind: PrincipalKind,
): Promise<{ roles: string[]; groups: string[] }> {
  const groups = await groupsOf(tx, tenantId, ownerId)
  const roles =
    ownerKind === 'user'
      ? await userRoles(tx, rules, tenantId, ownerId, groups)
      : await rolesOf(tx, tenantId, ownerId, groups)
  return { roles, groups }
}

/** What a key without the admin flag may still do: everything but `X:admin` (decisions D3). */
export const NOT_ADMIN = ['!admin'] as const

/** The principal of a live session, ticket or token of a user, with today's roles; of a key that logged in, with the key's (jobs.md §2). */
export async function userPrincipal(
  tx: Tx,
  rules: RoleRules,
  row: {
    tenant_id: string
    slug: string
    id: string
    principal_id: string
    kind: PrincipalKind
    subject: string
    name: string
    email: string | null
    groups: string[]
    expires_at: number
  },
  credential: CredentialKind,
): Promise<Principal> {
  if (row.kind === 'key') {
    const key = await findKeyPrincipal(tx, rules, sql`k.tenant_id = ${row.tenant_id} and k.id = ${row.principal_id}`)
    if (!key) throw new Fault('AUTH_TOKEN_REVOKED')
    const expiresAt = Math.min(row.expires_at, key.expiresAt ?? Infinity)
    return { ...key, credential, sessionId: row.id, expiresAt }
  }
  const groups = [...new Set([...row.groups, ...(await groupsOf(tx, row.tenant_id, row.principal_id))])]
  const roles = await userRoles(tx, rules, row.tenant_id, row.principal_id, groups)
  return {
    tenantId: row.tenant_id,
    tenantSlug: row.slug,
    id: row.principal_id,
    kind: 'user',
    subject: row.subject,
    name: row.name,
    ...(row.email === null ? {} : { email: row.email }),
    roles,
    groups,
    grants: [await patternsOf(tx, row.tenant_id, roles)],
    onBehalfOf: [],
    credential,
    sessionId: row.id,
    expiresAt: row.expires_at,
  }
}
