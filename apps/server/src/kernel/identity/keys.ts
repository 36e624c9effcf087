import { Fault } from '@wheelhouse/contract'
import { ids, type Instant } from '../clock/index.ts'
import { at, jsonb, sql, type Tx } from '../db/index.ts'
import { type KeyKind, newKeyToken, secretHash } from './tokens.ts'

export interface SubjectPermissions {
  allow?: string[]
  deny?: string[]
}

export interface NewKey {
  tenantId: string
  ownerId: string
  name: string
  notes?: string
  kind?: KeyKind
  /** Empty: all that the owner may. */
  roles?: readonly string[]
  admin?: boolean
  account?: 'own' | 'tenant'
  pub?: SubjectPermissions
  sub?: SubjectPermissions
  expiresAt?: Instant | null
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
  createdAt: Instant
  updatedAt: Instant
  expiresAt: Instant | null
  lastUsedAt: Instant | null
}

const columns = sql`id, owner_id as "ownerId", name, notes, prefix, roles, admin, kind, account, pub, sub, nats_public_key as "natsPublicKey",
  created_at as "createdAt", updated_at as "updatedAt", expires_at as "expiresAt", last_used_at as "lastUsedAt"`

/** Makes a key and its principal. The token is returned this once; only its hash is stored. */
export async function createKey(tx: Tx, now: Instant, input: NewKey): Promise<{ key: ApiKey; token: string }> {
  const id = ids.next()
  const kind = input.kind ?? 'user'
  const token = newKeyToken(kind, id)
  await tx.run(sql`
    insert into principals (tenant_id, id, kind, subject, name, owner_id, created_at)
    values (${input.tenantId}, ${id}, 'key', ${id}, ${input.name}, ${input.ownerId}, ${at(now)})`)
  const key = await tx.one<ApiKey>(sql`
    insert into api_keys (tenant_id, id, owner_id, name, notes, prefix, secret_hash, roles, admin, kind, account, pub, sub, created_at, updated_at, expires_at)
    values (${input.tenantId}, ${id}, ${input.ownerId}, ${input.name}, ${input.notes ?? ''}, ${token.slice(0, 10)}, ${secretHash(token)},
            ${[...(input.roles ?? [])]}, ${input.admin ?? false}, ${kind}, ${input.account ?? 'own'}, ${jsonb(input.pub ?? {})}, ${jsonb(input.sub ?? {})},
            ${at(now)}, ${at(now)}, ${at(input.expiresAt)})
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

/** Ends a key for good. Its row stays, so that history keeps its name. */
export async function revokeKey(tx: Tx, now: Instant, id: string): Promise<void> {
  await tx.run(
    sql`update api_keys set revoked_at = ${at(now)}, updated_at = ${at(now)} where id = ${id} and revoked_at is null`,
  )
  await tx.run(sql`update principals set deleted_at = ${at(now)} where id = ${id}`)
}
