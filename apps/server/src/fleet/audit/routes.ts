import { fleet } from '@wheelhouse/contract/fleet/index'
import { type Instant, iso } from '../../kernel/clock/index.ts'
import { at, type Statement, sql } from '../../kernel/db/index.ts'
import { serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { actionOf, wordsOf } from './actions.ts'

/** Totals are exact to here (decisions D1). */
const EXACT_TO = 10_000

interface AuditRow {
  id: string
  at: Instant
  verb: string
  resource_kind: string
  resource_id: string
  outcome: string
  actor: { kind: string; id: string; name: string; onBehalfOf?: string[] } | null
  ip: string | null
  metadata: Record<string, unknown> | null
}

/** The trail in the fleet's words (fleet.md §2, Audit). It waits until what was done before the request is in it (decisions D7). */
export const routes = ({ db, events }: Kernel) =>
  serve('fleet', fleet.audit, {
    async listAudit({ principal, query, list }) {
      await events.settled(principal.tenantId)
      const where: Statement[] = [sql`split_part(verb, '.', 2) = any(${wordsOf(query.action)})`]
      if (query.user_id !== undefined)
        where.push(sql`(actor_id = ${query.user_id} or body #>> '{actor,onBehalfOf,0}' = ${query.user_id})`)
      if (query.team_id !== undefined) where.push(sql`resource_kind = 'team' and resource_id = ${query.team_id}`)
      if (query.resource !== undefined) where.push(sql`resource_kind = ${query.resource}`)
      if (query.resource_id !== undefined) where.push(sql`resource_id = ${query.resource_id}`)
      if (query.from !== undefined) where.push(sql`at >= ${at(Date.parse(query.from))}`)
      if (query.to !== undefined) where.push(sql`at <= ${at(Date.parse(query.to))}`)
      const matching = (tenant: string) =>
        sql`from audit where tenant_id = ${tenant} and ${sql.join(where, sql` and `)}`
      const offset = (list.page - 1) * list.pageSize
      const rows = await db.big(
        principal.tenantId,
        (tenant) => sql<AuditRow>`
          select id, at, verb, resource_kind, resource_id, outcome, body -> 'actor' as actor, body ->> 'ip' as ip, body -> 'metadata' as metadata
          ${matching(tenant)} order by at desc, seq desc limit ${list.pageSize} offset ${Math.min(offset, 100_000)}`,
      )
      const [counted] = await db.big(
        principal.tenantId,
        (tenant) =>
          sql<{ n: number }>`select count(*) as n from (select 1 ${matching(tenant)} limit ${EXACT_TO + 1}) counted`,
      )
      const people = await db.tenant(principal.tenantId, (tx) =>
        tx.many<{ id: string; email: string | null; name: string }>(sql`
          select id, email, coalesce(display_name, username) as name from users
           where id::text = any(${[...new Set(rows.flatMap((row) => personOf(row) ?? []))]})`),
      )
      const known = new Map(people.map((person) => [person.id, person]))
      const n = counted?.n ?? 0
      return {
        items: rows.map((row) => {
          const userId = personOf(row)
          const person = userId === null ? undefined : known.get(userId)
          return {
            id: row.id,
            userId,
            userEmail: person?.email ?? null,
            userName: person?.name ?? row.actor?.name ?? null,
            teamId: row.resource_kind === 'team' ? row.resource_id : null,
            action: actionOf(row.verb) ?? 'EXECUTE',
            resource: row.resource_kind,
            resourceId: row.resource_id === '' ? null : row.resource_id,
            metadata: { ...row.metadata, verb: row.verb, outcome: row.outcome },
            ipAddress: row.ip,
            timestamp: iso(row.at),
          }
        }),
        page: list.page,
        pageSize: list.pageSize,
        total: n,
        totalExact: n <= EXACT_TO,
        next: null,
      }
    },
  })

/** The user behind a row: itself, or the owner of the key that was used. */
const personOf = ({ actor }: AuditRow): string | null =>
  actor === null ? null : actor.kind === 'user' ? actor.id : (actor.onBehalfOf?.[0] ?? null)
