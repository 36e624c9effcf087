import { Fault, grants } from '@wheelhouse/contract'
import { exportJWK, generateKeyPair, importJWK, type JWK, jwtVerify, SignJWT, errors } from 'jose'
import { type Clock, ids } from '../clock/index.ts'
import { at, type Db, jsonb, sql } from '../db/index.ts'
import type { Vault } from '../vault/index.ts'
import { findKeyPrincipal, userPrincipal } from './authenticate.ts'
import type { Principal } from './principal.ts'
import type { RoleRules } from './roles.ts'

export const TOKEN_ISSUER = 'wheelhouse'
export const TOKEN_AUDIENCE = 'wheelhouse'

const LOCK = 7_101_926

interface KeyRow {
  id: string
  public_jwk: JWK
  sealed_private: string
}

/** The one authority of signed access tokens; its public keys are at `/.well-known/jwks.json` (unification §2). */
export interface Tokens {
  /** A token of the principal's session or key; ends with it, at most after `lifeMs`. */
  issue(principal: Principal, lifeMs: number): Promise<{ token: string; expiresAt: number }>
  /** The principal with today's roles. A token whose session or key has ended is revoked. */
  verify(token: string): Promise<Principal>
  jwks(): Promise<{ keys: JWK[] }>
}

/** Opens the authority; its signing key (EdDSA) is made at first use and sealed by the vault. */
export function openTokens(db: Db, clock: Clock, vault: Vault, rules: RoleRules): Tokens {
  let loaded: Promise<{ id: string; privateKey: CryptoKey; keys: Map<string, CryptoKey>; jwks: JWK[] }> | undefined
  const load = () =>
    (loaded ??= loadKeys(db, vault).catch((error: unknown) => {
      loaded = undefined
      throw error
    }))

  return {
    async issue(principal, lifeMs) {
      const { id, privateKey } = await load()
      const now = clock.now()
      const expiresAt = Math.min(now + lifeMs, principal.expiresAt ?? Infinity)
      const token = await new SignJWT({
        user_id: principal.id,
        tenant_id: principal.tenantId,
        tenant: principal.tenantSlug,
        roles: [...principal.roles],
        permissions: permissionsOf(principal),
        groups: [...principal.groups],
        ...(principal.email === undefined ? {} : { email: principal.email }),
        name: principal.name,
        ...(principal.envScopes === undefined ? {} : { env_scopes: [...principal.envScopes] }),
        ...(principal.sessionId === undefined ? { key: principal.keyId } : { sid: principal.sessionId }),
      })
        .setProtectedHeader({ alg: 'EdDSA', kid: id, typ: 'JWT' })
        .setIssuer(TOKEN_ISSUER)
        .setAudience(TOKEN_AUDIENCE)
        .setSubject(principal.subject)
        .setJti(ids.next())
        .setIssuedAt(Math.floor(now / 1000))
        .setExpirationTime(Math.floor(expiresAt / 1000))
        .sign(privateKey)
      return { token, expiresAt }
    },
    async verify(token) {
      const { keys } = await load()
      const { payload } = await jwtVerify(
        token,
        (header) => {
          const key = keys.get(header.kid ?? '')
          if (!key) throw new Fault('AUTH_TOKEN_INVALID')
          return key
        },
        {
          issuer: TOKEN_ISSUER,
          audience: TOKEN_AUDIENCE,
          algorithms: ['EdDSA'],
          clockTolerance: 60,
          currentDate: new Date(clock.now()),
        },
      ).catch((error: unknown) => {
        if (error instanceof errors.JWTExpired) throw new Fault('AUTH_TOKEN_EXPIRED', undefined, { cause: error })
        throw error instanceof Fault ? error : new Fault('AUTH_TOKEN_INVALID', undefined, { cause: error })
      })
      const { tenant_id: tenantId, sid, key } = payload
      if (typeof tenantId !== 'string' || typeof (sid ?? key) !== 'string') throw new Fault('AUTH_TOKEN_INVALID')
      const expiresAt = Number(payload.exp) * 1000
      const confined = scopesOf(payload['env_scopes'])
      return db.auth(async (tx) => {
        if (sid === undefined) {
          const principal = await findKeyPrincipal(
            tx,
            rules,
            sql`k.tenant_id::text = ${tenantId} and k.id::text = ${key} and (k.expires_at is null or k.expires_at > ${at(clock.now())})`,
          )
          if (!principal) throw new Fault('AUTH_TOKEN_REVOKED')
          return { ...principal, ...confined, credential: 'token', expiresAt }
        }
        const row = await tx.maybe<Parameters<typeof userPrincipal>[2]>(sql`
          select s.tenant_id, t.slug, s.id, s.principal_id, p.kind, p.subject, p.name, u.email, s.groups, s.expires_at
            from sessions s join tenants t on t.id = s.tenant_id and t.state = 'active'
            join principals p on p.tenant_id = s.tenant_id and p.id = s.principal_id and p.state = 'active' and p.deleted_at is null
            left join users u on u.tenant_id = s.tenant_id and u.id = s.principal_id
           where s.tenant_id::text = ${tenantId} and s.id::text = ${sid} and s.expires_at > ${at(clock.now())} and not coalesce(u.disabled, false)`)
        if (!row) throw new Fault('AUTH_TOKEN_REVOKED')
        return { ...(await userPrincipal(tx, rules, row, 'token')), ...confined, expiresAt }
      })
    },
    jwks: async () => ({ keys: (await load()).jwks }),
  }
}

/** The environments that a token is confined to (release.md §3.1); a claim that cannot be read confines it to none. */
function scopesOf(claim: unknown): { envScopes?: string[] } {
  if (claim === undefined) return {}
  return { envScopes: Array.isArray(claim) ? claim.filter((each) => typeof each === 'string') : [] }
}

/** What all of the principal's grants have in common, for clients that look into the token; the server asks the grants themselves. */
const permissionsOf = ({ grants: [own = [], ...others] }: Principal): string[] =>
  own.filter((pattern) =>
    others.every((set) => set.some((each) => each === '!admin' || each === pattern || grants(each, pattern))),
  )

async function loadKeys(db: Db, vault: Vault) {
  const rows = await db.auth(async (tx) => {
    // Replicas that start together make one key.
    await tx.run(sql`select pg_advisory_xact_lock(${LOCK})`)
    const known = await tx.many<KeyRow>(
      sql`select id, public_jwk, sealed_private from signing_keys where purpose = 'token' order by created_at desc`,
    )
    if (known.length > 0) return known
    const { privateKey, publicKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true })
    const id = ids.next()
    const publicJwk = { ...(await exportJWK(publicKey)), kid: id, alg: 'EdDSA', use: 'sig' }
    const sealed = vault.seal(JSON.stringify(await exportJWK(privateKey)), `signing key ${id}`)
    await tx.run(
      sql`insert into signing_keys (id, purpose, public_jwk, sealed_private) values (${id}, 'token', ${jsonb(publicJwk)}, ${sealed})`,
    )
    return [{ id, public_jwk: publicJwk, sealed_private: sealed }]
  })
  const keys = new Map<string, CryptoKey>()
  for (const row of rows) keys.set(row.id, (await importJWK(row.public_jwk, 'EdDSA')) as CryptoKey)
  const [newest] = rows
  if (!newest) throw new Error('There is no signing key')
  const privateKey = (await importJWK(
    JSON.parse(vault.open(newest.sealed_private, `signing key ${newest.id}`)) as JWK,
    'EdDSA',
  )) as CryptoKey
  return { id: newest.id, privateKey, keys, jwks: rows.map((row) => row.public_jwk) }
}
