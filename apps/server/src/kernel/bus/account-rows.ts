import { at, jsonb, sql, type Db, type Tx } from '../db/index.ts'
import type { Clock, Instant } from '../clock/index.ts'
import type { Vault } from '../vault/index.ts'
import { newNkey } from './nkeys.ts'

/** Credentials of that user key issued at or before `at` (seconds) are refused; after `until` the last of them has expired. */
export interface Revocation {
  at: number
  until?: number
}

export interface AccountRow {
  tenantId: string
  publicKey: string
  /** The user whose account it is; null = the tenant's. */
  ownerId: string | null
  sealedSeed: string
  revocations: Record<string, Revocation>
  version: number
  changedAt: Instant
}

const columns = sql`tenant_id as "tenantId", public_key as "publicKey", owner_id as "ownerId", sealed_seed as "sealedSeed",
  revocations, version, changed_at as "changedAt"`

/** Binds a sealed seed to its row: moved to another account it does not open. */
export const seedContext = (publicKey: string): string => `nats-account:${publicKey}`

/** The account of the tenant (`ownerId` null) or of one of its users; made when it is not there. Needs `push` after the commit. */
export async function ensureAccount(
  tx: Tx,
  vault: Vault,
  clock: Clock,
  tenantId: string,
  ownerId: string | null,
): Promise<AccountRow> {
  const find = () =>
    tx.maybe<AccountRow>(sql`
      select ${columns} from nats_accounts where tenant_id = ${tenantId} and owner_id is not distinct from ${ownerId}::uuid`)
  const known = await find()
  if (known) return known
  const key = newNkey('account')
  const made = await tx.maybe<AccountRow>(sql`
    insert into nats_accounts (tenant_id, public_key, owner_id, sealed_seed, changed_at)
    values (${tenantId}, ${key.publicKey}, ${ownerId}, ${vault.seal(key.seed, seedContext(key.publicKey))}, ${at(clock.now())})
    on conflict do nothing returning ${columns}`)
  // Someone else made it between our two statements; read committed sees theirs now.
  const account = made ?? (await find())
  if (!account) throw new Error('The NATS account could neither be made nor found')
  return account
}

/** Adds revocations to an account and drops those whose credentials have expired. Needs `push` after the commit. */
export async function addRevocations(
  tx: Tx,
  clock: Clock,
  publicKey: string,
  added: Record<string, Revocation>,
): Promise<AccountRow | undefined> {
  const row = await tx.maybe<AccountRow>(
    sql`select ${columns} from nats_accounts where public_key = ${publicKey} for update`,
  )
  if (!row) return undefined
  const now = Math.floor(clock.now() / 1000)
  const kept = Object.entries(row.revocations).filter(([, { until }]) => until === undefined || until > now)
  // A credential minted in the second of an earlier revocation is dated one second later: this one must reach it.
  const reaching = Object.entries(added).map(([user, revocation]) => {
    const before = row.revocations[user]?.at
    return [
      user,
      before === undefined ? revocation : { ...revocation, at: Math.max(revocation.at, before + 1) },
    ] as const
  })
  return tx.one<AccountRow>(sql`
    update nats_accounts
       set revocations = ${jsonb({ ...Object.fromEntries(kept), ...Object.fromEntries(reaching) })}::jsonb, version = version + 1,
           changed_at = ${at(clock.now())}
     where public_key = ${publicKey} returning ${columns}`)
}

/** An account by its public key alone, over all tenants. */
export function findRow(db: Db, publicKey: string): Promise<AccountRow | undefined> {
  return db.auth((tx) =>
    tx.maybe<AccountRow>(sql`select ${columns} from nats_accounts where public_key = ${publicKey}`),
  )
}

/** The next accounts after a public key, over all tenants, in the order of the keys. */
export function rowsAfter(db: Db, publicKey: string, limit: number): Promise<AccountRow[]> {
  return db.auth((tx) =>
    tx.many<AccountRow>(
      sql`select ${columns} from nats_accounts where public_key > ${publicKey} order by public_key limit ${limit}`,
    ),
  )
}

/** The account of one owner, or the tenant's, if there is one. */
export function accountOf(tx: Tx, ownerId: string | null): Promise<AccountRow | undefined> {
  return tx.maybe<AccountRow>(
    sql`select ${columns} from nats_accounts where owner_id is not distinct from ${ownerId}::uuid`,
  )
}

export async function deleteRow(tx: Tx, publicKey: string): Promise<void> {
  await tx.run(sql`delete from nats_accounts where public_key = ${publicKey}`)
}
