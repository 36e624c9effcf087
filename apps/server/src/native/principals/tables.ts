import type { Instant } from '../../kernel/clock/index.ts'
import { at, sql, type Tx } from '../../kernel/db/index.ts'
import type { PrincipalKind } from '../../kernel/identity/index.ts'
import { FROZEN_UNTIL } from '../../kernel/jobs/index.ts'

interface Named {
  id: string
  kind: PrincipalKind
  name: string
  subject: string
}

export interface PrincipalRow extends Named {
  state: 'active' | 'frozen'
  owner: Named | null
  createdAt: Instant
}

/** What lists show of a row of `principals`. */
export const principalColumns = sql`principals.id, principals.kind, principals.name, principals.subject, principals.state,
  principals.created_at as "createdAt",
  (select jsonb_build_object('id', o.id, 'kind', o.kind, 'name', o.name, 'subject', o.subject) from principals o
    where o.tenant_id = principals.tenant_id and o.id = principals.owner_id) as owner`

/** One principal that is not deleted, with what its key says. */
export const findPrincipal = (
  tx: Tx,
  id: string,
): Promise<(PrincipalRow & { keyRoles: string[] | null; lastSeenAt: Instant | null }) | undefined> =>
  tx.maybe(sql`
    select ${principalColumns}, k.roles as "keyRoles",
           greatest(k.last_used_at, (select max(s.last_seen_at) from sessions s where s.principal_id = principals.id)) as "lastSeenAt"
      from principals left join api_keys k on k.tenant_id = principals.tenant_id and k.id = principals.id
     where principals.id::text = ${id} and principals.deleted_at is null`)

/** Its owner, that one's owner, and so on; at most eight. */
export const chainOf = (tx: Tx, id: string): Promise<Named[]> =>
  tx.many<Named>(sql`
    with recursive chain as (
      select p.owner_id, 1 as depth from principals p where p.id = ${id}
      union all
      select p.owner_id, c.depth + 1 from chain c join principals p on p.id = c.owner_id where c.depth < 8
    )
    select p.id, p.kind, p.name, p.subject from chain c join principals p on p.id = c.owner_id order by c.depth`)

/** What belongs to it and is not deleted; sessions' own keys are no matter of anybody's. */
export const ownedBy = (tx: Tx, id: string): Promise<(Named & { state: 'active' | 'frozen' })[]> =>
  tx.many(sql`
    select p.id, p.kind, p.name, p.subject, p.state from principals p
      left join api_keys k on k.tenant_id = p.tenant_id and k.id = p.id
     where p.owner_id = ${id} and p.deleted_at is null and coalesce(k.kind, '') not in ('session', 'tryit')
     order by p.name, p.id limit 200`)

/** Its jobs that have not ended, by what they wait for; `onBehalf` are those that others submitted for it. */
export const countJobs = (
  tx: Tx,
  id: string,
): Promise<{ waiting: number; held: number; running: number; frozen: number; onBehalf: number }> =>
  tx.one(sql`
    with mine as materialized (
      select hash, principal ->> 'id' = ${id} as own from job_principals
       where principal ->> 'id' = ${id} or principal -> 'onBehalfOf' ? ${id}
    ), live as (
      select q.state, q.run_at = ${at(FROZEN_UNTIL)} as frozen, m.own from job_queue q
        join jobs j on j.tenant_id = q.tenant_id and j.id = q.id join mine m on m.hash = j.principal_hash
       where q.state <> 'cancelling'
    )
    select count(*) filter (where state in ('ready', 'waiting', 'undecided') and frozen is not true)::int as waiting,
           count(*) filter (where state = 'held')::int as held,
           count(*) filter (where state = 'leased')::int as running,
           count(*) filter (where frozen)::int as frozen,
           count(*) filter (where not own)::int as "onBehalf"
      from live`)
