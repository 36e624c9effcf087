import { Fault } from '@wheelhouse/contract'
import type { Clock } from '../clock/index.ts'
import type { Db, Tx } from '../db/index.ts'
import type { Vault } from '../vault/index.ts'
import { accountClaims, type AccountKind } from './account-claims.ts'
import {
  accountOf,
  addRevocations,
  deleteRow,
  ensureAccount,
  findRow,
  rowsAfter,
  seedContext,
  type AccountRow,
  type Revocation,
} from './account-rows.ts'
import type { Bus } from './connection.ts'
import { signJwt, type AccountClaims } from './jwt.ts'
import type { Nkey } from './nkeys.ts'
import { mintUser, type Capabilities, type UserCredential } from './users.ts'

/** Whose account it is. */
export interface AccountOwner {
  tenantId: string
  /** Undefined: the account is the tenant's own. */
  ownerId?: string
}

export interface KeyCredential extends Capabilities {
  keyId: string
  mayCancel: boolean
  /** Seconds since 1970. */
  expires?: number
  /** The key's nkey, stable across re-minting; absent = a new one, which the caller seals and keeps. */
  user?: Nkey
}

/** NATS accounts of tenants and users: rows are the record, the server's resolver follows them. */
export interface Accounts {
  /** The tenant's account, made in the caller's transaction when it is not there. After the commit: `push`. */
  ensureTenantAccount(tx: Tx, tenantId: string): Promise<AccountRow>
  /** The same for a user. */
  ensureUserAccount(tx: Tx, tenantId: string, principalId: string): Promise<AccountRow>
  /** Puts the account's row in force at the server. Safe to repeat; false when there is no such row. */
  push(publicKey: string): Promise<boolean>
  /** Mints a key's credential in the account of its tenant or owner, which is made and put in force first. */
  mint(owner: AccountOwner, key: KeyCredential): Promise<UserCredential>
  /**
   * Refuses the credentials that these user keys hold now and drops their connections (about 0.3 s). `expires`: when the last of
   * them ends by itself, in seconds. Returns when the server has it.
   */
  revoke(owner: AccountOwner, users: readonly string[], expires?: number): Promise<void>
  /** Ids of the workers that listen in this account with the credentials of these users. Throws SYS_UNAVAILABLE. */
  workersOf(owner: AccountOwner, users: readonly string[]): Promise<string[]>
  /** Who is connected in this account, and on what each listens. Throws SYS_UNAVAILABLE. */
  connections(owner: AccountOwner): Promise<{ user: string; subjects: readonly string[] }[]>
  /** Removes an account with everything that stands in it. */
  remove(owner: AccountOwner): Promise<void>
  /** Whose account this public key is; cached for ever, since an account never changes hands. */
  findAccount(publicKey: string): Promise<AccountOwner | undefined>
  /** Puts every account in force; those that are already change nothing. Returns how many there are. At start, and after a lost NATS disk. */
  rebuildAccounts(): Promise<number>
}

export interface AccountsOptions {
  db: Db
  bus: Bus
  vault: Vault
  clock: Clock
}

const PUSHES = 50
const PAGE = 500
const AT_ONCE = 16

export function openAccounts({ db, bus, vault, clock }: AccountsOptions): Accounts {
  const owners = new Map<string, Promise<AccountOwner | undefined>>()
  /** Versions that this process knows to be in force. */
  const inForce = new Map<string, number>()
  const platform = bus.keys.platform.publicKey
  const seconds = () => Math.floor(clock.now() / 1000)

  /** The same row gives the same text: pushing it again changes nothing. */
  function jwtOf(row: AccountRow): string {
    const revoked = Object.fromEntries(Object.entries(row.revocations).map(([user, { at }]) => [user, at]))
    const nats: AccountClaims = accountClaims(kindOf(row), row.publicKey, platform, revoked)
    const name = row.ownerId === null ? `tenant ${row.tenantId}` : `user ${row.ownerId}`
    return signJwt(bus.keys.operator, {
      subject: row.publicKey,
      name,
      issuedAt: Math.floor(row.changedAt / 1000),
      nats,
    })
  }

  /**
   * Of two replicas, the one that read first may push last: so a push counts when afterwards the row has not moved and its JWT is
   * the stored one. Throws SYS_UNAVAILABLE when that does not come about.
   */
  async function pushRow(row: AccountRow): Promise<void> {
    let current: AccountRow | undefined = row
    for (let attempt = 0; attempt < PUSHES && current; attempt++) {
      const { publicKey, version } = current
      const kept = await bus.resolver.push(publicKey, jwtOf(current))
      current = await findRow(db, publicKey)
      if (kept && current?.version === version) {
        inForce.set(publicKey, version)
        return
      }
    }
    if (current) throw new Fault('SYS_UNAVAILABLE', { part: 'bus', reason: 'the account cannot be put in force' })
  }

  async function remake(owner: AccountOwner): Promise<AccountRow> {
    const row = await db.tenant(owner.tenantId, (tx) =>
      ensureAccount(tx, vault, clock, owner.tenantId, owner.ownerId ?? null),
    )
    if (inForce.get(row.publicKey) !== row.version) await pushRow(row)
    return row
  }

  async function connectionsOf({ tenantId, ownerId }: AccountOwner): ReturnType<Accounts['connections']> {
    const row = await db.tenant(tenantId, (tx) => accountOf(tx, ownerId ?? null))
    return row ? bus.resolver.connections(row.publicKey) : []
  }

  return {
    ensureTenantAccount: (tx, tenantId) => ensureAccount(tx, vault, clock, tenantId, null),
    ensureUserAccount: (tx, tenantId, principalId) => ensureAccount(tx, vault, clock, tenantId, principalId),
    async push(publicKey) {
      const row = await findRow(db, publicKey)
      if (row) await pushRow(row)
      return row !== undefined
    },
    async mint(owner, key) {
      const row = await remake(owner)
      const account: Nkey = {
        publicKey: row.publicKey,
        seed: vault.open(row.sealedSeed, seedContext(row.publicKey)),
      }
      const revokedAt = key.user ? (row.revocations[key.user.publicKey]?.at ?? 0) : 0
      return mintUser(account, { ...key, kind: kindOf(row), issuedAt: Math.max(seconds(), revokedAt + 1) })
    },
    async revoke(owner, users, expires) {
      const revocation: Revocation = { at: seconds(), ...(expires === undefined ? {} : { until: expires }) }
      const row = await db.tenant(owner.tenantId, async (tx) => {
        const account = await accountOf(tx, owner.ownerId ?? null)
        if (!account) return undefined
        return addRevocations(tx, clock, account.publicKey, Object.fromEntries(users.map((user) => [user, revocation])))
      })
      if (row) await pushRow(row)
    },
    async workersOf(owner, users) {
      const wanted = new Set(users)
      return (await connectionsOf(owner))
        .filter(({ user }) => wanted.has(user))
        .flatMap(({ subjects }) => subjects.flatMap((subject) => /^worker\.([^.*>]+)\.jobs$/.exec(subject)?.[1] ?? []))
    },
    connections: connectionsOf,
    async remove(owner) {
      // The server first: if this fails midway the row is still there, and removing it again is safe.
      const row = await db.tenant(owner.tenantId, (tx) => accountOf(tx, owner.ownerId ?? null))
      if (!row) return
      await bus.resolver.remove([row.publicKey])
      await db.tenant(owner.tenantId, (tx) => deleteRow(tx, row.publicKey))
      owners.delete(row.publicKey)
      inForce.delete(row.publicKey)
    },
    findAccount(publicKey) {
      const known = owners.get(publicKey)
      if (known) return known
      const found = findOwner(db, publicKey)
      owners.set(publicKey, found)
      // Neither a failure nor "not there yet" may stick.
      found.then(
        (owner) => (owner ? undefined : owners.delete(publicKey)),
        () => owners.delete(publicKey),
      )
      return found
    },
    async rebuildAccounts() {
      let pushed = 0
      for (let after = ''; ;) {
        const rows = await rowsAfter(db, after, PAGE)
        for (let index = 0; index < rows.length; index += AT_ONCE)
          await Promise.all(rows.slice(index, index + AT_ONCE).map(pushRow))
        pushed += rows.length
        const last = rows.at(-1)
        if (!last || rows.length < PAGE) return pushed
        after = last.publicKey
      }
    },
  }
}

const kindOf = (row: AccountRow): AccountKind => (row.ownerId === null ? 'tenant' : 'user')

async function findOwner(db: Db, publicKey: string): Promise<AccountOwner | undefined> {
  const row = await findRow(db, publicKey)
  if (!row) return undefined
  return { tenantId: row.tenantId, ...(row.ownerId === null ? {} : { ownerId: row.ownerId }) }
}
