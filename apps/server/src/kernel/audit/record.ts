import { ids, type Instant } from '../clock/index.ts'
import { at, jsonb, sql, type Tx } from '../db/index.ts'
import type { Actor } from '../identity/index.ts'

/** One row of the trail before it is numbered and chained (decisions D1). */
export interface AuditEntry {
  at: Instant
  actor: Actor
  verb: string
  resourceKind: string
  resourceId: string
  outcome: 'ok' | 'denied' | 'failed'
  ip?: string
  userAgent?: string
  requestId?: string
  traceId?: string
  environmentId?: string
  releaseId?: string
  before?: unknown
  after?: unknown
  jobId?: string
  metadata?: Readonly<Record<string, unknown>>
}

const SECRET = /pass(word|phrase)?|secret|token|seed|private|credential|api_?key|authorization|cookie/i
const MAX_BYTES = 16 * 1024

/** Masks what looks like a secret, by the name of its member, before a row is built. */
export function mask(value: unknown, depth = 0): unknown {
  if (depth > 8 || typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.slice(0, 200).map((each) => mask(each, depth + 1))
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [
      key,
      SECRET.test(key) && typeof each === 'string' && each !== '' ? '***' : mask(each, depth + 1),
    ]),
  )
}

/** Appends to the trail with the transaction that did the thing. */
export async function record(tx: Tx, entry: AuditEntry, tenantId = tx.tenantId): Promise<void> {
  const { at: when, ...rest } = entry
  const masked = { ...rest, before: mask(rest.before), after: mask(rest.after), metadata: mask(rest.metadata) }
  let body = jsonb(masked)
  if (body.length > MAX_BYTES)
    body = jsonb({ ...masked, before: undefined, after: undefined, metadata: { truncated: true } })
  await tx.run(
    sql`insert into outbox (tenant_id, id, kind, at, body) values (${tenantId}, ${ids.next()}, 'audit', ${at(when)}, ${body})`,
  )
}
