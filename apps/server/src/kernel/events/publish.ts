import type { EventType } from '@wheelhouse/contract'
import { ids, type Instant } from '../clock/index.ts'
import { at, jsonb, sql, type Tx } from '../db/index.ts'
import type { Actor } from '../identity/index.ts'

/** One domain event, as everything inside knows it (decisions D1). Surfaces render it. */
export interface NewEvent {
  /** `resource.past`, such as `promotion.approved`. */
  type: EventType
  resource: { kind: string; id: string }
  actor: Actor
  data: Readonly<Record<string, unknown>>
  at: Instant
  correlationId?: string
  causationId?: string
}

/** Stores the event with the transaction's own writes; the sealer numbers, chains and sends it after the commit (decisions D7). */
export async function publish(tx: Tx, event: NewEvent, tenantId = tx.tenantId): Promise<string> {
  const id = ids.next()
  const body = {
    type: event.type,
    actor: event.actor,
    resource: event.resource,
    correlationId: event.correlationId,
    causationId: event.causationId,
    data: event.data,
    schema: 1,
  }
  await tx.run(
    sql`insert into outbox (tenant_id, id, kind, at, body) values (${tenantId}, ${id}, 'event', ${at(event.at)}, ${jsonb(body)})`,
  )
  return id
}
