import { Fault } from '@wheelhouse/contract'
import type { Environment, EnvironmentConfig } from '@wheelhouse/contract/release/environments'
import type { FreezeWindow } from '@wheelhouse/contract/release/freeze-windows'
import { type Instant, iso } from '../../kernel/clock/index.ts'
import { at, jsonb, sql, type Tx } from '../../kernel/db/index.ts'

/** An environment as stored. `isProduction` is settled by `settleProduction` unless someone said it (`productionSet`). */
export interface EnvironmentRow {
  id: string
  name: string
  displayName: string
  orderIndex: number
  config: EnvironmentConfig
  isProduction: boolean
  productionSet: boolean
  requiredApprovals: number
  requireSeparationOfDuties: boolean
  autoPromoteFrom: string | null
  promotionPolicy: string | null
  defaultStrategy: Environment['defaultStrategy']
  workflowTemplateId: string | null
  createdBy: string
  createdAt: Instant
  updatedAt: Instant
  version: number
}

export const columns = sql`environments.id, environments.name, environments.display_name as "displayName", environments.order_index as "orderIndex",
  environments.config, environments.is_production as "isProduction", environments.production_set as "productionSet",
  environments.required_approvals as "requiredApprovals", environments.require_separation_of_duties as "requireSeparationOfDuties",
  environments.auto_promote_from as "autoPromoteFrom", environments.promotion_policy as "promotionPolicy",
  environments.default_strategy as "defaultStrategy", environments.workflow_template_id as "workflowTemplateId",
  environments.created_by as "createdBy", environments.created_at as "createdAt", environments.updated_at as "updatedAt", environments.version`

export const toEnvironment = (
  tenantId: string,
  { productionSet: _said, createdAt, updatedAt, ...row }: EnvironmentRow,
  freezeWindows: FreezeWindow[],
): Environment => ({ ...row, tenantId, freezeWindows, createdAt: iso(createdAt), updatedAt: iso(updatedAt) })

export const findEnvironment = (tx: Tx, id: string): Promise<EnvironmentRow | undefined> =>
  tx.maybe<EnvironmentRow>(
    sql<EnvironmentRow>`select ${columns} from environments where id = ${id} and deleted_at is null`,
  )

/** The environment; 404 when there is none, or it was deleted. */
export async function getEnvironment(tx: Tx, id: string): Promise<EnvironmentRow> {
  const row = await findEnvironment(tx, id)
  if (!row) throw new Fault('RES_NOT_FOUND', { id })
  return row
}

/** The environment, unchanged until the transaction ends. Not with a lock of its row, which a change of a neighbour may want too. */
export async function lockEnvironment(tx: Tx, id: string): Promise<EnvironmentRow> {
  await lockOrder(tx)
  return getEnvironment(tx, id)
}

/** Environments of one tenant change one at a time: their order and promotion sources depend on each other. */
export const lockOrder = (tx: Tx): Promise<number> =>
  tx.run(sql`select pg_advisory_xact_lock(hashtextextended(${`environments ${tx.tenantId}`}, 0))`)

export const insertEnvironment = (tx: Tx, row: EnvironmentRow): Promise<number> =>
  tx.run(sql`
    insert into environments (tenant_id, id, name, display_name, order_index, config, is_production, production_set, required_approvals,
      require_separation_of_duties, auto_promote_from, promotion_policy, default_strategy, workflow_template_id, created_by, created_at, updated_at)
    values (${tx.tenantId}, ${row.id}, ${row.name}, ${row.displayName}, ${row.orderIndex}, ${jsonb(row.config)}, ${row.isProduction},
      ${row.productionSet}, ${row.requiredApprovals}, ${row.requireSeparationOfDuties}, ${row.autoPromoteFrom}, ${row.promotionPolicy},
      ${row.defaultStrategy === null ? null : jsonb(row.defaultStrategy)}, ${row.workflowTemplateId}, ${row.createdBy},
      ${at(row.createdAt)}, ${at(row.updatedAt)})`)

export const saveEnvironment = (tx: Tx, row: EnvironmentRow): Promise<number> =>
  tx.run(sql`
    update environments set name = ${row.name}, display_name = ${row.displayName}, order_index = ${row.orderIndex}, config = ${jsonb(row.config)},
      is_production = ${row.isProduction}, production_set = ${row.productionSet}, required_approvals = ${row.requiredApprovals},
      require_separation_of_duties = ${row.requireSeparationOfDuties}, auto_promote_from = ${row.autoPromoteFrom},
      promotion_policy = ${row.promotionPolicy}, default_strategy = ${row.defaultStrategy === null ? null : jsonb(row.defaultStrategy)},
      workflow_template_id = ${row.workflowTemplateId}, updated_at = ${at(row.updatedAt)}, version = version + 1
     where id = ${row.id}`)

export const markDeleted = (tx: Tx, id: string, now: Instant): Promise<number> =>
  tx.run(
    sql`update environments set deleted_at = ${at(now)}, updated_at = ${at(now)}, version = version + 1 where id = ${id}`,
  )

/**
 * Where nobody said otherwise, production is what is highest in order or named `prod…` (release.md §6.1).
 * Returns the environments whose standing this changed.
 */
export const settleProduction = (tx: Tx): Promise<{ id: string; name: string; isProduction: boolean }[]> =>
  tx.many(sql`
    with rule as (
      select id, name like 'prod%' or order_index = max(order_index) over () as production from environments where deleted_at is null)
    update environments set is_production = rule.production
      from rule where rule.id = environments.id and not environments.production_set and environments.is_production <> rule.production
    returning environments.id, environments.name, environments.is_production as "isProduction"`)

/** The environment that promotes from this one, if any does. */
export const promotesFrom = (tx: Tx, id: string): Promise<{ id: string; name: string; orderIndex: number }[]> =>
  tx.many(sql`
    select id, name, order_index as "orderIndex" from environments where auto_promote_from = ${id} and deleted_at is null
     order by order_index limit 100`)
