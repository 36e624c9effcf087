import { createHash } from 'node:crypto'
import { Fault } from '@wheelhouse/contract'
import type { Instant } from '../clock/index.ts'
import { at, jsonb, sql, type Tx } from '../db/index.ts'

/** Release and native keys live a day (decisions D8). */
const LIFE_MS = 24 * 3_600_000

export interface StoredReply {
  status: number
  headers: Record<string, string>
  body: string | null
}

/** The key's form: 1 to 128 printable ASCII characters (release.md §1). */
export function checkKey(key: string): void {
  if (!/^[\x20-\x7e]{1,128}$/.test(key)) {
    throw new Fault(
      'VAL_PATTERN',
      { header: 'Idempotency-Key' },
      { message: 'Idempotency-Key must be 1 to 128 printable ASCII characters' },
    )
  }
}

/**
 * The reply that this key already led to, or undefined when the request is the first.
 * Holds the key until the transaction ends, so that of two racing requests one runs and the other is told that it is in flight.
 */
export async function recall(tx: Tx, scope: string, key: string, body: Buffer): Promise<StoredReply | undefined> {
  const bodyHash = hashOf(body)
  const lockKey = createHash('sha256').update(`${tx.tenantId}\0${scope}\0${key}`).digest().readBigInt64BE(0)
  const { held } = await tx.one<{ held: boolean }>(
    sql`select pg_try_advisory_xact_lock(${lockKey.toString()}::bigint) as held`,
  )
  if (!held) throw new Fault('RES_IDEMPOTENCY_IN_FLIGHT', { key }, { retryAfterMs: 1000 })
  const known = await tx.maybe<StoredReply & { body_hash: Buffer }>(sql`
    select body_hash, status, headers, body from idempotency where scope = ${scope} and key = ${key} and expires_at > now()`)
  if (!known) return undefined
  if (!known.body_hash.equals(bodyHash)) throw new Fault('RES_IDEMPOTENCY_CONFLICT', { key })
  return { status: known.status, headers: known.headers, body: known.body }
}

/** Keeps a reply for the repeats of its request, in the transaction that did the work. */
export async function remember(
  tx: Tx,
  now: Instant,
  scope: string,
  key: string,
  body: Buffer,
  reply: StoredReply,
): Promise<void> {
  await tx.run(sql`
    insert into idempotency (tenant_id, scope, key, body_hash, status, headers, body, created_at, expires_at)
    values (${tx.tenantId}, ${scope}, ${key}, ${hashOf(body)}, ${reply.status}, ${jsonb(reply.headers)}, ${reply.body}, ${at(now)}, ${at(now + LIFE_MS)})
    on conflict (tenant_id, scope, key) do update set body_hash = excluded.body_hash, status = excluded.status, headers = excluded.headers,
      body = excluded.body, created_at = excluded.created_at, expires_at = excluded.expires_at`)
}

const hashOf = (body: Buffer): Buffer => createHash('sha256').update(body).digest()
