import { Fault } from '@wheelhouse/contract'
import { LRUCache } from 'lru-cache'
import type { Logger } from 'pino'
import { type Accounts, type Bus, newNkey, type Nkey, type UserCredential } from '../bus/index.ts'
import { type Clock, pause } from '../clock/index.ts'
import { at, type Db, sql, type Tx } from '../db/index.ts'
import type { Vault } from '../vault/index.ts'
import { type Authenticator, ownerStanding } from './authenticate.ts'
import { type ApiKey, findKey, sessionKey } from './keys.ts'
import { can, type Principal } from './principal.ts'
import type { RoleRules } from './roles.ts'
import { openStanding, type Today } from './standing.ts'
import { meetRights, narrowRights, rightsInAccount, rightsOfRoles, type SubjectRights } from './subject-rights.ts'
import type { KeyKind } from './tokens.ts'

/** Credentials of a principal on NATS, and the end of all that a principal holds. */
export interface Identity {
  rules: RoleRules
  /** Who sent a message that carries this user key; remembered for under a second. Undefined: nobody who may act. */
  principalOfNkey(publicKey: string): Promise<Principal | undefined>
  /** What the principal may do on NATS: the union over its roles, for a key narrowed by its owner's and its own (platform.md §9). */
  subjectRights(tx: Tx, principal: Principal): Promise<SubjectRights>
  /** Mints the NATS credential of the principal's key, or of its session (platform.md §8.4). Throws 401 when that has ended. */
  natsCredential(principal: Principal): Promise<UserCredential & { id: string }>
  /** Public key of the account of a principal, or of the tenant; made in the transaction when it is not there, in force after it. */
  accountKey(tx: Tx, tenantId: string, ownerId: string | undefined): Promise<string>
  /** Refuses what these keys hold on NATS and ends their connections; forgets what replicas remember. After the commit. */
  cutOff(tenantId: string, keyIds: readonly string[]): Promise<void>
  /** A stored principal with what is left of its rights today (standing.ts). */
  today(principal: Principal): Promise<Today>
  /** Rights changed: every replica asks the database again. */
  changed(): void
  /** Runs on every replica when somebody's rights changed or ended. */
  onChanged(run: () => void): void
  /** Stops a principal at once: sessions end, keys are refused, NATS connections close, all within a second. */
  freezePrincipal(tenantId: string, principalId: string): Promise<void>
  /** Runs, in one replica, when workers were cut off: what they work on is to be given to others. */
  onWorkersGone(run: (tenantId: string, workerIds: readonly string[]) => void): void
  /** Lets a frozen principal act again; it logs in anew. */
  thawPrincipal(tenantId: string, principalId: string): Promise<void>
  /** Cuts off what should have been (a crash came between), and removes keys that have passed. Repeatable. */
  sweep(signal: AbortSignal): Promise<void>
  /** Whether every account is in force at the nats-server. */
  ready(): boolean
  close(): Promise<void>
}

export interface IdentityOptions {
  db: Db
  clock: Clock
  vault: Vault
  bus: Bus
  accounts: Accounts
  authenticator: Authenticator
  rules: RoleRules
  log: Logger
}

interface MintedRow {
  tenantId: string
  id: string
  ownerId: string
  kind: KeyKind
  account: 'own' | 'tenant'
  natsPublicKey: string
  expiresAt: number | null
}

const minted = sql`tenant_id as "tenantId", id, owner_id as "ownerId", kind, account, nats_public_key as "natsPublicKey", expires_at as "expiresAt"`
const SWEEP = 500
const MINT_ATTEMPTS = 3
const REBUILD_RETRY_MS = 2000

/** Opens the standing of principals on NATS; puts all accounts in force in the background. */
export function openIdentity(options: IdentityOptions): Identity {
  const { db, clock, vault, bus, accounts, authenticator, rules, log } = options
  const closing = new AbortController()
  const listeners: (() => void)[] = []
  const workersGone: ((tenantId: string, workerIds: readonly string[]) => void)[] = []
  const accountKeys = new LRUCache<string, string>({ max: 10_000 })
  const standing = openStanding(db, clock, rules)
  let inForce = false
  bus.onWake('identity', () => {
    forget()
    for (const run of listeners) run()
  })

  const rebuilding = rebuild()
  bus.onReconnect(() => {
    // A nats-server that came back may have lost its disk.
    if (inForce)
      void accounts.rebuildAccounts().catch((error: unknown) => log.warn({ err: error }, 'Accounts are not in force'))
  })

  async function rebuild(): Promise<void> {
    while (!closing.signal.aborted) {
      const failed = await accounts.rebuildAccounts().then(
        () => undefined,
        (error: unknown) => error ?? 'unknown',
      )
      if (failed === undefined) {
        inForce = true
        return
      }
      if (!closing.signal.aborted) log.warn({ err: failed }, 'The NATS accounts are not in force yet')
      await pause(REBUILD_RETRY_MS, closing.signal).catch(() => undefined)
    }
  }

  function forget(): void {
    authenticator.forget()
    standing.forget()
  }

  function changed(): void {
    forget()
    if (!bus.wake('identity')) for (const run of listeners) run()
  }

  async function subjectRights(tx: Tx, principal: Principal): Promise<SubjectRights> {
    const { tenantId, keyId, ownerId } = principal
    const granted = await rightsOfRoles(tx, tenantId, principal.roles)
    if (keyId === undefined || ownerId === undefined) return granted
    const owner = await tx.one<{ kind: Principal['kind'] }>(
      sql`select kind from principals where tenant_id = ${tenantId} and id = ${ownerId}`,
    )
    const { roles } = await ownerStanding(tx, rules, tenantId, ownerId, owner.kind)
    const key = await findKey(tx, keyId)
    const owned = await rightsOfRoles(tx, tenantId, roles)
    // A key for trying things out only looks, and yet calls its owner's extensions (platform.md §8.6).
    return narrowRights(key.kind === 'tryit' ? owned : meetRights(granted, owned), key)
  }

  async function keyOf(tx: Tx, principal: Principal): Promise<ApiKey> {
    const { keyId, sessionId, tenantId } = principal
    if (keyId !== undefined) return findKey(tx, keyId)
    if (sessionId === undefined) throw new Fault('AUTH_TOKEN_INVALID')
    const session = await tx.maybe<{ expires_at: number }>(
      sql`select expires_at from sessions where id::text = ${sessionId}`,
    )
    if (!session) throw new Fault('AUTH_TOKEN_REVOKED')
    return sessionKey(tx, clock.now(), {
      tenantId,
      ownerId: principal.id,
      sessionId,
      expiresAt: session.expires_at,
    })
  }

  /** The key's nkey: made once, kept sealed, the same at every exchange (platform.md §8.4). */
  async function nkeyOf(tx: Tx, key: ApiKey): Promise<Nkey> {
    const stored = await tx.one<{ publicKey: string | null; sealed: string | null }>(sql`
      select nats_public_key as "publicKey", nats_sealed_seed as sealed from api_keys where id = ${key.id} for update`)
    if (stored.publicKey !== null && stored.sealed !== null)
      return { publicKey: stored.publicKey, seed: vault.open(stored.sealed, seedContext(key.id)) }
    const made = newNkey('user')
    await tx.run(sql`
      update api_keys set nats_public_key = ${made.publicKey}, nats_sealed_seed = ${vault.seal(made.seed, seedContext(key.id))} where id = ${key.id}`)
    return made
  }

  async function mint(principal: Principal): Promise<{ key: ApiKey; credential: UserCredential }> {
    const { tenantId } = principal
    const { key, grant, user } = await db.tenant(tenantId, async (tx) => {
      const found = await keyOf(tx, principal)
      const nkey = await nkeyOf(tx, found)
      await tx.run(sql`update api_keys set nats_minted_at = ${at(clock.now())} where id = ${found.id}`)
      const rights = await subjectRights(tx, principal)
      return { key: found, user: nkey, grant: rightsInAccount(rights, found, found.account) }
    })
    const credential = await accounts.mint(
      { tenantId, ...(key.account === 'tenant' ? {} : { ownerId: key.ownerId }) },
      {
        ...grant,
        keyId: key.id,
        mayCancel: can(principal, 'job:cancel'),
        user,
        ...(key.expiresAt === null ? {} : { expires: Math.floor(key.expiresAt / 1000) }),
      },
    )
    return { key, credential }
  }

  /** Whether nothing happened to the key while its credential was minted: a cut between would not have seen it. */
  async function stillHolds(principal: Principal, key: ApiKey): Promise<boolean> {
    if (!(await authenticator.isLive(principal))) return false
    const row = await db.tenant(principal.tenantId, (tx) =>
      tx.maybe(sql`
        select 1 from api_keys where id = ${key.id} and revoked_at is null and not nats_stale and updated_at = ${at(key.updatedAt)}
           and nats_minted_at is not null`),
    )
    return row !== undefined
  }

  /** Refuses the minted credentials of these keys, by account, and notes that they are gone. */
  async function refuse(rows: readonly MintedRow[]): Promise<void> {
    const byAccount = new Map<string, MintedRow[]>()
    for (const row of rows) {
      const name = `${row.tenantId} ${row.account === 'tenant' ? '' : row.ownerId}`
      byAccount.set(name, [...(byAccount.get(name) ?? []), row])
    }
    for (const group of byAccount.values()) {
      const [first] = group
      if (!first) continue
      const { tenantId, ownerId, account } = first
      // Only keys whose expiry never changes may be forgotten after it: others may have held a credential that lives longer.
      const passing = group.every(
        ({ kind, expiresAt }) => (kind === 'session' || kind === 'tryit') && expiresAt !== null,
      )
      const until = passing ? Math.ceil(Math.max(...group.map((row) => Number(row.expiresAt))) / 1000) : undefined
      await accounts.revoke(
        { tenantId, ...(account === 'tenant' ? {} : { ownerId }) },
        group.map((row) => row.natsPublicKey),
        until,
      )
      await db.auth((tx) =>
        tx.run(sql`
          update api_keys set nats_minted_at = null, nats_stale = false
           where tenant_id = ${tenantId} and id = any(${group.map((row) => row.id)}::uuid[])`),
      )
    }
  }

  /** Which workers live on these credentials, while they still do. Not known: their silence tells, half a minute later. */
  async function workersOf(tenantId: string, rows: readonly MintedRow[]): Promise<string[]> {
    const users = rows.filter(({ account }) => account === 'tenant').map(({ natsPublicKey }) => natsPublicKey)
    if (users.length === 0) return []
    return accounts.workersOf({ tenantId }, users).catch((error: unknown) => {
      log.warn({ err: error, tenantId }, 'It is not known which workers were cut off')
      return []
    })
  }

  return {
    rules,
    changed,
    today: (principal) => standing.today(principal),
    subjectRights,
    onChanged: (run) => void listeners.push(run),
    onWorkersGone: (run) => void workersGone.push(run),
    ready: () => inForce,
    async principalOfNkey(publicKey) {
      return authenticator.nkey(publicKey).catch((error: unknown) => {
        if (error instanceof Fault && error.status === 401) return undefined
        throw error
      })
    },
    async natsCredential(principal) {
      for (let attempt = 0; attempt < MINT_ATTEMPTS; attempt++) {
        const minted = await mint(principal)
        if (await stillHolds(principal, minted.key)) return { ...minted.credential, id: minted.key.id }
        if (!(await authenticator.isLive(principal))) throw new Fault('AUTH_TOKEN_REVOKED')
      }
      throw new Fault('SYS_UNAVAILABLE', { part: 'identity' }, { message: 'The key changes too often' })
    },
    async accountKey(tx, tenantId, ownerId) {
      const cacheKey = `${tenantId} ${ownerId ?? ''}`
      const known = accountKeys.get(cacheKey)
      if (known !== undefined) return known
      const { publicKey } = await (ownerId === undefined
        ? accounts.ensureTenantAccount(tx, tenantId)
        : accounts.ensureUserAccount(tx, tenantId, ownerId))
      tx.afterCommit(() => {
        accountKeys.set(cacheKey, publicKey)
        // Minting puts it in force again, so a server that is away delays nobody here.
        accounts.push(publicKey).catch((error: unknown) => log.warn({ err: error }, 'A new account waits for the bus'))
      })
      return publicKey
    },
    async cutOff(tenantId, keyIds) {
      changed()
      const rows = await db.tenant(tenantId, (tx) =>
        tx.many<MintedRow>(sql`
          select ${minted} from api_keys where id = any(${[...keyIds]}::uuid[]) and nats_minted_at is not null and nats_public_key is not null`),
      )
      await refuse(rows)
    },
    async freezePrincipal(tenantId, principalId) {
      const rows = await db.tenant(tenantId, async (tx) => {
        const known = await tx.run(
          sql`update principals set state = 'frozen' where id::text = ${principalId} and deleted_at is null`,
        )
        if (known === 0) throw new Fault('RES_NOT_FOUND', { kind: 'principal', id: principalId })
        await tx.run(sql`delete from sessions where principal_id::text = ${principalId}`)
        return tx.many<MintedRow>(sql`
          update api_keys set nats_stale = true
           where (owner_id::text = ${principalId} or id::text = ${principalId}) and nats_minted_at is not null and nats_public_key is not null
          returning ${minted}`)
      })
      changed()
      const workerIds = await workersOf(tenantId, rows)
      await refuse(rows)
      if (workerIds.length > 0) for (const run of workersGone) run(tenantId, workerIds)
    },
    async thawPrincipal(tenantId, principalId) {
      const known = await db.tenant(tenantId, (tx) =>
        tx.run(sql`update principals set state = 'active' where id::text = ${principalId} and deleted_at is null`),
      )
      if (known === 0) throw new Fault('RES_NOT_FOUND', { kind: 'principal', id: principalId })
      changed()
    },
    async sweep(signal) {
      const now = clock.now()
      while (!signal.aborted) {
        const rows = await db.auth((tx) => tx.many<MintedRow>(leftOver()))
        if (rows.length > 0) changed()
        await refuse(rows)
        if (rows.length < SWEEP) break
      }
      // What has expired by itself needs no refusal: the nats-server ended it.
      await db.auth(async (tx) => {
        const gone = await tx.many<{ tenant_id: string; id: string }>(sql`
          delete from api_keys where (tenant_id, id) in (
            select tenant_id, id from api_keys where kind in ('tryit', 'session') and expires_at < ${at(now)} limit ${SWEEP})
          returning tenant_id, id`)
        await tx.run(sql`
          update principals set deleted_at = ${at(now)} from unnest(${gone.map((row) => row.tenant_id)}::uuid[], ${gone.map((row) => row.id)}::uuid[]) as g (tenant, key)
           where principals.tenant_id = g.tenant and principals.id = g.key`)
        await tx.run(sql`delete from login_flows where expires_at < ${at(now)}`)
        await tx.run(sql`delete from device_flows where expires_at < ${at(now)}`)
      })
    },
    async close() {
      closing.abort()
      await rebuilding
    },
  }
}

/** Keys that hold something on NATS although they, their owner or their session may not any more. */
const leftOver = () => sql<MintedRow>`
  select k.tenant_id as "tenantId", k.id, k.owner_id as "ownerId", k.kind, k.account, k.nats_public_key as "natsPublicKey", k.expires_at as "expiresAt"
    from api_keys k
    join principals o on o.tenant_id = k.tenant_id and o.id = k.owner_id
    join principals p on p.tenant_id = k.tenant_id and p.id = k.id
    join tenants t on t.id = k.tenant_id
    left join users u on u.tenant_id = k.tenant_id and u.id = k.owner_id
   where k.nats_minted_at is not null and k.nats_public_key is not null
     and (k.nats_stale or k.revoked_at is not null or o.state = 'frozen' or p.state = 'frozen' or t.state <> 'active' or o.deleted_at is not null
          or coalesce(u.disabled, false)
          or (k.session_id is not null and not exists (select from sessions s where s.tenant_id = k.tenant_id and s.id = k.session_id)))
   limit ${SWEEP}`

/** Binds a sealed seed to its key: moved to another row it does not open. */
const seedContext = (keyId: string): string => `nats-user:${keyId}`
