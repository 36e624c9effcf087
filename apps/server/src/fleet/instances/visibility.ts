import { Fault } from '@wheelhouse/contract'
import { type Statement, sql } from '../../kernel/db/index.ts'
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

/**
 * The same for a table that names the instance in `column`. The list of hidden instances is read once a statement and is
 * nearly always empty, so that the table's own indexes decide.
 */
export const visibleBy = (principal: Principal, column: Statement, tenantId: string): Statement =>
  seesAllTeams(principal)
    ? sql`true`
    : sql`${column} <> all (array(
        select hidden.id from instances hidden
         where hidden.tenant_id = ${tenantId} and hidden.team_id is not null and hidden.team_id <> all(${[...principal.groups]})))`

export const notFound = (id: string): Fault =>
  new Fault('RES_NOT_FOUND', { kind: 'instance', id }, { message: `Instance '${id}' was not found` })
