import { Fault } from '@wheelhouse/contract'
import { sql, type Tx } from '../db/index.ts'
import { can, type Principal } from '../identity/index.ts'
import { memoryName } from '../memory/index.ts'

/**
 * Refuses (PERM_DENIED) a memory that the principal may not reach: memories are the tenant's and need `memory:read`, but for a run's own
 * (`run:<id>`), which whoever started that run may go on with. `own`: names that need no right.
 */
export async function requireMemory(
  tx: Tx,
  principal: Principal,
  memoryId: string,
  own: readonly string[] = [],
): Promise<void> {
  const name = memoryName(memoryId)
  if (own.includes(name) || can(principal, 'memory:read')) return
  const [, runId] = /^run:([0-9a-f-]{36})$/.exec(name) ?? []
  if (runId !== undefined && (await isTheirs(tx, principal, runId))) return
  throw new Fault(
    'PERM_DENIED',
    { required: 'memory:read' },
    { message: 'memory_id names a memory that is not of your own runs: leave it out, or be given memory:read' },
  )
}

async function isTheirs(tx: Tx, { id, ownerId }: Principal, runId: string): Promise<boolean> {
  const people = ownerId === undefined ? [id] : [id, ownerId]
  const row = await tx.maybe(sql`
    select 1 from runs where id = ${runId} and (principal_id::text = any(${people}) or principal ->> 'ownerId' = any(${people}))`)
  return row !== undefined
}
