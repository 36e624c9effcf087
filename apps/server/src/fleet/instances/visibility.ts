import { Fault } from '@wheelhouse/contract'
import { type Statement, sql, type Tx } from '../../kernel/db/index.ts'
import { floorOf, type Principal } from '../../kernel/identity/index.ts'

/** Administrators and agents are not confined to teams (fleet.md §3.4); an agent reports of whatever machine it runs on. */
export const seesAllTeams = (principal: Principal): boolean =>
  floorOf(principal) === 'ADMIN' || principal.kind === 'system' || isAgent(principal)

export const isAgent = ({ kind, roles }: Principal): boolean => kind === 'agent' || roles.includes('system-agent')

/** Condition on `instances`: without a team, or of a team of the caller (fleet.md §2, Instances). */
export const visibleInstances = (principal: Principal): Statement =>
  seesAllTeams(principal)
    ? sql`true`
    : sql`(instances.team_id is null or instances.team_id = any(${[...principal.groups]}))`

export const notFound = (id: string): Fault =>
  new Fault('RES_NOT_FOUND', { kind: 'instance', id }, { message: `Instance '${id}' was not found` })

/** The instances that the caller may not see, for statements that cannot look at `instances` themselves. Nearly always none. */
export async function hiddenFrom(tx: Tx, principal: Principal): Promise<string[]> {
  if (seesAllTeams(principal)) return []
  const rows = await tx.many<{ id: string }>(
    sql`select id from instances where team_id is not null and team_id <> all(${[...principal.groups]}) limit 100000`,
  )
  return rows.map(({ id }) => id)
}
