import { type Body, Fault, type Violation } from '@wheelhouse/contract'
import type { EnvironmentConfig, environments } from '@wheelhouse/contract/release/environments'
import { ids, type Instant } from '../../kernel/clock/index.ts'
import { isUniqueViolation, type Tx } from '../../kernel/db/index.ts'
import { publish } from '../../kernel/events/index.ts'
import { type Actor, actorOf, type Principal } from '../../kernel/identity/index.ts'
import { noSuch, refuseBody } from '../resource.ts'
import {
  type EnvironmentRow,
  findEnvironment,
  getEnvironment,
  insertEnvironment,
  lockOrder,
  markDeleted,
  promotesFrom,
  saveEnvironment,
  settleProduction,
} from './tables.ts'

type NewEnvironment = Body<typeof environments.create>
type EnvironmentChange = Body<typeof environments.update>

/** Makes an environment (release.md §6.1). */
export async function createEnvironment(
  tx: Tx,
  principal: Principal,
  body: NewEnvironment,
  now: Instant,
): Promise<EnvironmentRow> {
  await lockOrder(tx)
  const row: EnvironmentRow = {
    id: ids.next(),
    name: body.name,
    displayName: body.displayName,
    orderIndex: body.orderIndex,
    // The schema filled the defaults in.
    config: body.config as EnvironmentConfig,
    isProduction: body.isProduction ?? false,
    productionSet: body.isProduction !== undefined,
    requiredApprovals: body.requiredApprovals,
    requireSeparationOfDuties: separationOf(body) ?? false,
    autoPromoteFrom: body.autoPromoteFrom ?? null,
    promotionPolicy: body.promotionPolicy === undefined ? 'default' : body.promotionPolicy,
    defaultStrategy: body.defaultStrategy ?? null,
    workflowTemplateId: body.workflowTemplateId ?? null,
    createdBy: principal.id,
    createdAt: now,
    updatedAt: now,
    version: 1,
  }
  await refuseImpossible(tx, row)
  await insertEnvironment(tx, row).catch(conflictOf(row))
  const actor = actorOf(principal)
  await announce(tx, 'created', row, actor, now)
  await settle(tx, actor, now, row.id)
  return getEnvironment(tx, row.id)
}

/** Changes what the body names; null clears (release.md §1, §6.1). `row` is the locked environment. */
export async function updateEnvironment(
  tx: Tx,
  principal: Principal,
  row: EnvironmentRow,
  body: EnvironmentChange,
  now: Instant,
): Promise<EnvironmentRow> {
  const { config, requireSod: _short, requireSeparationOfDuties: _long, isProduction, ...plain } = body
  const changed: EnvironmentRow = {
    ...row,
    ...plain,
    config: merged(row.config, config),
    requireSeparationOfDuties: separationOf(body) ?? row.requireSeparationOfDuties,
    updatedAt: now,
  }
  if (isProduction !== undefined) {
    changed.productionSet = isProduction !== null
    changed.isProduction = isProduction ?? row.isProduction
  }
  await refuseImpossible(tx, changed)
  await saveEnvironment(tx, changed).catch(conflictOf(changed))
  const actor = actorOf(principal)
  await announce(tx, 'updated', changed, actor, now)
  await settle(tx, actor, now, row.id)
  return getEnvironment(tx, row.id)
}

/** Takes an environment away that nothing stands in and nothing promotes from. What happened in it stays readable. */
export async function deleteEnvironment(
  tx: Tx,
  principal: Principal,
  row: EnvironmentRow,
  targetCount: number,
  now: Instant,
): Promise<void> {
  if (targetCount > 0) throw new Fault('ENV_HAS_TARGETS', { targetCount })
  const references = await promotesFrom(tx, row.id)
  if (references.length > 0) throw new Fault('ENV_REFERENCED', { referencedBy: references })
  await markDeleted(tx, row.id, now)
  const actor = actorOf(principal)
  await announce(tx, 'deleted', row, actor, now)
  await settle(tx, actor, now, row.id)
}

const announce = (
  tx: Tx,
  what: 'created' | 'updated' | 'deleted',
  row: EnvironmentRow,
  actor: Actor,
  now: Instant,
): Promise<string> =>
  publish(tx, {
    type: `environment.${what}`,
    resource: { kind: 'environment', id: row.id },
    actor,
    data: { name: row.name, displayName: row.displayName, orderIndex: row.orderIndex },
    at: now,
  })

/** Tells of the neighbours whose standing as production followed from this change. */
async function settle(tx: Tx, actor: Actor, now: Instant, ownId: string): Promise<void> {
  for (const { id, name, isProduction } of await settleProduction(tx)) {
    if (id === ownId) continue
    const resource = { kind: 'environment', id }
    await publish(tx, { type: 'environment.updated', resource, actor, data: { name, isProduction }, at: now })
  }
}

/** The setting has two names (release.md §24, conflict 4); said twice, they must agree. */
function separationOf(body: { requireSod?: boolean; requireSeparationOfDuties?: boolean }): boolean | undefined {
  const { requireSod: short, requireSeparationOfDuties: long } = body
  if (short !== undefined && long !== undefined && short !== long)
    refuseBody({ field: 'requireSod', message: 'contradicts requireSeparationOfDuties', code: 'duplicate' })
  return long ?? short
}

/** A null member of the change goes back to being absent. */
function merged(config: EnvironmentConfig, change: EnvironmentChange['config']): EnvironmentConfig {
  if (!change) return config
  const entries = Object.entries({ ...config, ...change }).filter(([, value]) => value !== null && value !== undefined)
  return Object.fromEntries(entries) as EnvironmentConfig
}

/** What no schema shows: zones, template, and whether promotion comes from below (release.md §6.1). */
async function refuseImpossible(tx: Tx, row: EnvironmentRow): Promise<void> {
  const violations: Violation[] = (row.config.deploymentWindows ?? []).flatMap(({ timezone }, i) =>
    isTimeZone(timezone)
      ? []
      : [{ field: `config.deploymentWindows[${i}].timezone`, message: 'is no time zone', code: 'format' }],
  )
  // No workflow template can be named before there are any.
  if (row.workflowTemplateId !== null) violations.push(noSuch('workflowTemplateId', 'workflow template'))
  const [first, ...more] = violations
  if (first) refuseBody(first, ...more)
  await refuseSource(tx, row)
}

async function refuseSource(tx: Tx, row: EnvironmentRow): Promise<void> {
  const refuse = (reason: string, environmentId: string | null): never => {
    throw new Fault('ENV_INVALID_AUTO_PROMOTE', { reason, environmentId })
  }
  if (row.autoPromoteFrom !== null) {
    if (row.autoPromoteFrom === row.id) refuse('itself', row.id)
    const source = await findEnvironment(tx, row.autoPromoteFrom)
    if (!source) refuse('missing', row.autoPromoteFrom)
    else if (source.orderIndex >= row.orderIndex) refuse('not_lower', source.id)
  }
  const stranded = (await promotesFrom(tx, row.id)).find(({ orderIndex }) => orderIndex <= row.orderIndex)
  if (stranded) refuse('not_lower', stranded.id)
}

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}

const conflictOf =
  (row: EnvironmentRow) =>
  (error: unknown): never => {
    if (isUniqueViolation(error, 'environments_name'))
      throw new Fault('RES_DUPLICATE_NAME', { name: row.name }, { cause: error })
    if (isUniqueViolation(error, 'environments_order'))
      throw new Fault('ENV_ORDER_CONFLICT', { orderIndex: row.orderIndex }, { cause: error })
    throw error
  }
