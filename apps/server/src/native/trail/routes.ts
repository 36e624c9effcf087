import { Fault } from '@wheelhouse/contract'
import { native } from '@wheelhouse/contract/native/index'
import type { Verdict } from '../../kernel/audit/index.ts'
import { iso, type Instant } from '../../kernel/clock/index.ts'
import { sql } from '../../kernel/db/index.ts'
import type { Chain, DomainEvent, Envelope } from '../../kernel/events/index.ts'
import { serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { streamEvents } from './stream.ts'

/** How far one request looks for events of the asked types. */
const MAX_PAGES = 10
const PAGE = 1000

const shown = ({ id, seq, type, at, actor, resource, correlationId, causationId, data }: DomainEvent) => ({
  id,
  seq,
  type,
  at: iso(at),
  actor: { kind: actor.kind, id: actor.id, name: actor.name, onBehalfOf: [...actor.onBehalfOf] },
  resource,
  ...(correlationId === undefined ? {} : { correlationId }),
  ...(causationId === undefined ? {} : { causationId }),
  data,
})

/** Whether an event is of one of the types that the caller named by their beginnings. */
function typeFilter(types: string | undefined): (event: DomainEvent) => boolean {
  const beginnings = (types ?? '')
    .split(',')
    .map((each) => each.trim())
    .filter(Boolean)
  return beginnings.length === 0 ? () => true : ({ type }) => beginnings.some((each) => type.startsWith(each))
}

/** The sealed trail and the tenant's events. */
export const routes = ({ db, trail, events }: Kernel) => {
  const verifying = new Map<string, Promise<Verdict>>()

  /** A long chain costs seconds: callers at the same time share one answer. */
  function verify(tenantId: string, chain: Chain): Promise<Verdict> {
    const key = `${tenantId} ${chain}`
    const running = verifying.get(key) ?? trail.verify(tenantId, chain).finally(() => verifying.delete(key))
    verifying.set(key, running)
    return running
  }

  return serve('native', native.trail, {
    verify: ({ principal, body }) => verify(principal.tenantId, body.chain ?? 'audit'),
    async verifyRow({ principal, params }) {
      const { tenantId } = principal
      await events.settled(tenantId)
      const [row] = await db.big(
        tenantId,
        (tenant) => sql<{ seq: number; hash: Buffer }>`
        select seq, hash from audit where tenant_id = ${tenant} and id::text = ${params.id}`,
      )
      if (!row) throw new Fault('RES_NOT_FOUND', { kind: 'audit', id: params.id })
      const verdict = await verify(tenantId, 'audit')
      const [seal] = await db.big(
        tenantId,
        (tenant) => sql<{ seq: number; at: Instant; envelope: Envelope }>`
        select seq, at, envelope from seals where tenant_id = ${tenant} and chain = 'audit' and seq >= ${row.seq} order by seq limit 1`,
      )
      const valid = verdict.broken === undefined || verdict.broken.seq > row.seq
      return {
        valid,
        checked: verdict.rows,
        seq: row.seq,
        hash: row.hash.toString('hex'),
        ...(seal
          ? { checkpoint: { seq: seal.seq, at: iso(seal.at), keyId: seal.envelope.signatures[0]?.keyid ?? '' } }
          : {}),
        ...(verdict.broken
          ? { reason: `The chain breaks at row ${verdict.broken.seq}: ${verdict.broken.reason}` }
          : {}),
      }
    },
    async events({ principal, query }) {
      const { tenantId } = principal
      const { after = 0, limit = 100 } = query
      const wanted = typeFilter(query.type)
      await events.settled(tenantId)
      const items: DomainEvent[] = []
      let position = after
      for (let page = 0; page < MAX_PAGES; page++) {
        const found = await events.replay(tenantId, position, query.type === undefined ? limit : PAGE)
        for (const event of found) {
          position = event.seq
          if (wanted(event)) items.push(event)
          if (items.length === limit) return { items: items.map(shown), next: position }
        }
        if (query.type === undefined || found.length < PAGE) return { items: items.map(shown), next: null }
      }
      return { items: items.map(shown), next: position }
    },
    async eventStream(context) {
      const { principal, query, request } = context
      const { tenantId } = principal
      const wanted = typeFilter(query.type)
      const known = request.header('last-event-id')
      const after = known !== undefined && /^\d{1,15}$/.test(known) ? Number(known) : query.after
      const start = after ?? (await headOf(tenantId))
      const { stream } = context
      await stream.comment(`after ${start}`)
      await streamEvents({
        events,
        tenantId,
        after: start,
        signal: stream.signal,
        async send(event) {
          if (wanted(event)) await stream.send({ event: event.type, id: String(event.seq), data: shown(event) })
        },
      })
    },
  })

  /** The newest position: a stream without a beginning tells what happens from now on. */
  async function headOf(tenantId: string): Promise<number> {
    await events.settled(tenantId)
    const { seq } = await db.tenant(tenantId, (tx) =>
      tx.one<{ seq: number | null }>(sql`select max(seq) as seq from events`),
    )
    return seq ?? 0
  }
}
