import { type Body, Fault, type Violation } from '@wheelhouse/contract'
import { TARGET_CAPABILITY, type targets, type TargetType } from '@wheelhouse/contract/release/targets'
import { ids, type Instant } from '../../kernel/clock/index.ts'
import { isUniqueViolation, type Tx } from '../../kernel/db/index.ts'
import { publish } from '../../kernel/events/index.ts'
import { actorOf, type Principal } from '../../kernel/identity/index.ts'
import type { Vault } from '../../kernel/vault/index.ts'
import { requireAccess } from '../access.ts'
import { findEnvironment } from '../environments/tables.ts'
import { noSuch, refuseBody } from '../resource.ts'
import { requireBindable } from './binding.ts'
import { readConnection, type StoredConnection } from './connection.ts'
import { insertTarget, markDeleted, saveTarget, type TargetRow } from './tables.ts'

type NewTarget = Body<typeof targets.create>
type TargetChange = Body<typeof targets.update>

/** What a sealed connection is bound to: it opens in no other row. */
const sealContext = (id: string): string => `target ${id} connection`

/** The connection of a target with its secrets opened; for whoever talks to the place itself. */
export const openConnection = (vault: Vault, row: TargetRow): StoredConnection => ({
  connection: row.connection,
  secrets:
    row.sealedSecrets === null
      ? {}
      : (JSON.parse(vault.open(row.sealedSecrets, sealContext(row.id))) as Record<string, string>),
})

function seal(vault: Vault, id: string, { secrets }: StoredConnection): string | null {
  return Object.keys(secrets).length === 0 ? null : vault.seal(JSON.stringify(secrets), sealContext(id))
}

/** Registers a target (release.md §6.3). */
export async function createTarget(
  tx: Tx,
  vault: Vault,
  principal: Principal,
  body: NewTarget,
  now: Instant,
): Promise<TargetRow> {
  const environment = await findEnvironment(tx, body.environmentId)
  if (!environment) return refuseBody(noSuch('environmentId', 'environment'))
  requireAccess(principal, 'target:create', environment)
  refuseGroup(body.targetGroupId)
  const read = readConnection(body.type, body.connection)
  if (body.agentId) await requireBindable(tx, body.agentId, body.type)
  const id = ids.next()
  const row: TargetRow = {
    id,
    environmentId: environment.id,
    targetGroupId: null,
    name: body.name,
    displayName: body.displayName ?? null,
    type: body.type,
    connection: read.connection,
    sealedSecrets: seal(vault, id, read),
    capabilities: capabilitiesOf(body.type),
    labels: body.labels,
    agentId: body.agentId ?? null,
    healthCheck: body.healthCheck ?? null,
    healthStatus: 'unknown',
    lastHealthCheck: null,
    lastHealthMessage: null,
    maintenance: false,
    lastSyncAt: null,
    createdBy: principal.id,
    createdAt: now,
    updatedAt: now,
    version: 1,
  }
  await insertTarget(tx, row).catch(duplicateOf(row))
  await announce(tx, 'registered', row, principal, now)
  return row
}

/** Changes what the body names; null clears. `row` is the locked target. */
export async function updateTarget(
  tx: Tx,
  vault: Vault,
  principal: Principal,
  row: TargetRow,
  body: TargetChange,
  now: Instant,
): Promise<TargetRow> {
  refuseImmutable(row, body)
  refuseGroup(body.targetGroupId)
  const { connection, type: _type, environmentId: _environment, ...plain } = body
  const changed: TargetRow = { ...row, ...plain, updatedAt: now, version: row.version + 1 }
  if (connection !== undefined) {
    const read = readConnection(row.type, connection, openConnection(vault, row))
    changed.connection = read.connection
    changed.sealedSecrets = seal(vault, row.id, read)
  }
  if (body.agentId && body.agentId !== row.agentId) await requireBindable(tx, body.agentId, row.type)
  await saveTarget(tx, changed).catch(duplicateOf(changed))
  await announce(tx, 'updated', changed, principal, now)
  return changed
}

/** Takes a target away; its history stays, its secrets do not. */
export async function deleteTarget(tx: Tx, principal: Principal, row: TargetRow, now: Instant): Promise<void> {
  await markDeleted(tx, row.id, now)
  await announce(tx, 'deleted', row, principal, now)
}

function capabilitiesOf(type: TargetType): string[] {
  const capability = TARGET_CAPABILITY[type]
  return capability === undefined ? [] : [capability]
}

/** No group can be named before there are any. */
function refuseGroup(targetGroupId: string | null | undefined): void {
  if (targetGroupId) refuseBody(noSuch('targetGroupId', 'target group'))
}

function refuseImmutable(row: TargetRow, body: TargetChange): void {
  const violations = (['environmentId', 'type'] as const).flatMap((field): Violation[] =>
    body[field] === undefined || body[field] === row[field]
      ? []
      : [{ field, message: 'cannot be changed', code: 'enum' }],
  )
  const [first] = violations
  if (first)
    throw new Fault(
      'VAL_IMMUTABLE_FIELD',
      { field: first.field },
      { message: `${first.field} cannot be changed`, violations },
    )
}

const announce = (
  tx: Tx,
  what: 'registered' | 'updated' | 'deleted',
  row: TargetRow,
  principal: Principal,
  now: Instant,
): Promise<string> =>
  publish(tx, {
    type: `target.${what}`,
    resource: { kind: 'target', id: row.id },
    actor: actorOf(principal),
    data: { name: row.name, type: row.type, environmentId: row.environmentId },
    at: now,
  })

const duplicateOf =
  (row: TargetRow) =>
  (error: unknown): never => {
    if (isUniqueViolation(error, 'targets_name'))
      throw new Fault('RES_DUPLICATE_NAME', { name: row.name, environmentId: row.environmentId }, { cause: error })
    throw error
  }
