import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import { iso, type Instant } from '../clock/index.ts'
import type { Actor } from '../identity/index.ts'

/** A domain event with its place in the tenant's stream (decisions D1). `seq` has no gaps. */
export interface DomainEvent {
  id: string
  seq: number
  type: string
  tenantId: string
  at: Instant
  actor: Actor
  resource: { kind: string; id: string }
  correlationId?: string
  causationId?: string
  data: Record<string, unknown>
  schema: 1
}

export type Chain = 'event' | 'audit'

export const FIRST_HASH = Buffer.alloc(32)

/** What a link of a chain commits to: everything of the row but the hash itself. */
export interface Link {
  tenantId: string
  seq: number
  id: string
  at: Instant
  body: unknown
}

/** `sha256(previous || JCS(row))` (decisions D7). */
export function linkHash(previous: Buffer, link: Link): Buffer {
  const row = canonicalize({ tenant: link.tenantId, seq: link.seq, id: link.id, at: iso(link.at), body: link.body })
  return createHash('sha256')
    .update(previous)
    .update(row ?? '')
    .digest()
}

/** How far a batch has brought a chain. */
export interface MovedHead {
  tenantId: string
  chain: Chain
  seq: number
  hash: Buffer
  added: number
}
