import { Fault } from '@wheelhouse/contract'
import { ids, type Instant } from '../clock/index.ts'
import { accountKindOf } from '../bus/index.ts'
import { at, isUniqueViolation, jsonb, sql, type Tx } from '../db/index.ts'
import type { SubjectPermissions } from './subject-rights.ts'
import { type KeyKind, newKeyToken, secretHash } from './tokens.ts'

export interface NewKey {
  tenantId: string
  ownerId: string
  name: string
  notes?: string
  kind?: KeyKind
  /** Empty: all that the owner may. */
  roles?: readonly string[]
  admin?: boolean
  /** Where its NATS credentials stand; default: as its subjects say (decisions D2). */
  account?: 'own' | 'tenant'
  /** Absent: no limit of the key's own. */
  pub?: SubjectPermissions
  sub?: SubjectPermissions
  expiresAt?: Instant | null
  /** A key of kind `session` belongs to this session and ends with it. */
  sessionId?: string
}

export interface ApiKey {
  id: string
  ownerId: string
  name: string
  notes: string
  prefix: string
  roles: string[]
  admin: boolean
  kind: KeyKind
  account: 'own' | 'tenant'
  pub: SubjectPermissions
  sub: SubjectPermissions
  natsPublicKey: string | null
  sessionId: string | null
  createdAt: Instant
  updatedAt: Instant
  expiresAt: Instant | null
  lastUsedAt: Instant | null
}

const columns = sql`id, owner_id as "ownerId", name, notes, prefix, roles, admin, kind, account, pub, sub, nats_public_key as "natsPublicKey",
  session_id as "sessionId", created_at as "createdAt", updated_at as "updatedAt", expires_at as "expiresAt", last_used_at as "lastUsedAt"`

/** Makes a key and its principal. The token is returned this once; only its hash is stored. */
export async function createKey(tx: Tx, now: Instant, input: NewKey): Promise<{ key: ApiKey; token: string }> {
  const id = ids.next()
  const kind = input.kind ?? 'user'
  const token = newKeyToken(kind, id)
  const asked = { pub: input.pub ?? {}, sub: input.sub ?? {} }
  const account = input.account ?? (accountKindOf(asked) === 'tenant' ? 'tenant' : 'own')
  await tx.run(sql`
    insert into principals (tenant_id, id, kind, subject, name, owner_id, created_at)
    values (${input.tenantId}, ${id}, 'key', ${id}, ${input.name}, ${input.ownerId}, ${at(now)})`)
  const key = await tx.one<ApiKey>(sql`
    insert into api_keys (tenant_id, id, owner_id, name, notes, prefix, secret_hash, roles, admin, kind, account, pub, sub, created_at, updated_at, expires_at, session_id)
    values (${input.tenantId}, ${id}, ${input.ownerId}, ${input.name}, ${input.notes ?? ''}, ${token.slice(0, 10)}, ${secretHash(token)},
            ${[...(input.roles ?? [])]}, ${input.admin ?? false}, ${kind}, ${account}, ${jsonb(input.pub ?? {})}, ${jsonb(input.sub ?? {})},
            ${at(now)}, ${at(now)}, ${at(input.expiresAt)}, ${input.sessionId ?? null})
    returning ${columns}`)
  return { key, token }
}

/** The live keys of one owner, newest first; at most 1,000. */
export const keysOf = (tx: Tx, ownerId: string): Promise<ApiKey[]> =>
  tx.many<ApiKey>(
    sql`select ${columns} from api_keys where owner_id = ${ownerId} and revoked_at is null order by created_at desc, id desc limit 1000`,
  )

/** One live key of an owner (of anyone with `ownerId` absent); otherwise 404. */
export async function findKey(tx: Tx, id: string, ownerId?: string): Promise<ApiKey> {
  const key = await tx.maybe<ApiKey>(sql`
    select ${columns} from api_keys where id::text = ${id} and revoked_at is null and ${ownerId === undefined ? sql`true` : sql`owner_id = ${ownerId}`}`)
  if (!key) throw new Fault('RES_NOT_FOUND', { kind: 'key', id })
  return key
}

/** What of a key may be changed; absent members stay. */
export interface KeyChange {
  name?: string
  notes?: string
  admin?: boolean
  pub?: SubjectPermissions
  sub?: SubjectPermissions
  expiresAt?: Instant | null
}

/** Changes a live key. With `narrowed`, what it holds on NATS is refused from then on: call `identity.cutOff` after the commit. */
export async function updateKey(
  tx: Tx,
  now: Instant,
  id: string,
  change: KeyChange,
  narrowed: boolean,
): Promise<ApiKey> {
  const set = [
    change.name === undefined ? undefined : sql`name = ${change.name}`,
    change.notes === undefined ? undefined : sql`notes = ${change.notes}`,
    change.admin === undefined ? undefined : sql`admin = ${change.admin}`,
    change.pub === undefined ? undefined : sql`pub = ${jsonb(change.pub)}`,
    change.sub === undefined ? undefined : sql`sub = ${jsonb(change.sub)}`,
    change.expiresAt === undefined ? undefined : sql`expires_at = ${at(change.expiresAt)}`,
    narrowed ? sql`nats_stale = nats_minted_at is not null` : undefined,
    sql`updated_at = ${at(now)}`,
  ].filter((each) => each !== undefined)
  if (change.name !== undefined) await tx.run(sql`update principals set name = ${change.name} where id::text = ${id}`)
  return tx.one<ApiKey>(
    sql`update api_keys set ${sql.join(set)} where id::text = ${id} and revoked_at is null returning ${columns}`,
  )
}

/** Ends a key for good. Its row stays, so that history keeps its name. Call `identity.cutOff` after the commit. */
export async function revokeKey(tx: Tx, now: Instant, id: string): Promise<void> {
  await tx.run(
    sql`update api_keys set revoked_at = ${at(now)}, updated_at = ${at(now)} where id::text = ${id} and revoked_at is null`,
  )
  await tx.run(sql`update principals set deleted_at = ${at(now)} where id::text = ${id}`)
}

/** The key by which a session speaks on NATS; made at first use. */
export async function sessionKey(
  tx: Tx,
  now: Instant,
  session: Required<Pick<NewKey, 'tenantId' | 'ownerId' | 'sessionId'>> & { expiresAt: Instant },
): Promise<ApiKey> {
  const find = () =>
    tx.maybe<ApiKey>(
      sql`select ${columns} from api_keys where session_id = ${session.sessionId} and revoked_at is null`,
    )
  const known = await find()
  if (known) return known
  await tx.run(sql`savepoint session_key`)
  try {
    const { key } = await createKey(tx, now, { ...session, name: 'Session', kind: 'session', admin: true })
    return key
  } catch (error) {
    // Another request of the same session was first.
    if (!isUniqueViolation(error, 'api_keys_session')) throw error
    await tx.run(sql`rollback to savepoint session_key`)
    const made = await find()
    if (!made) throw error
    return made
  }
}
