import { Fault } from '@wheelhouse/contract'
import type { InstanceStatus } from '@wheelhouse/contract/fleet/words'
import type { Instant } from '../../kernel/clock/index.ts'
import type { Tx } from '../../kernel/db/index.ts'
import { publish } from '../../kernel/events/index.ts'
import { actorOf, type Principal } from '../../kernel/identity/index.ts'
import { addEvent, type InstanceRow, moveStatus } from '../instances/tables.ts'

/** Where a machine may leave the fleet from; what is being built or torn down must end first. */
const LEAVES_FROM: readonly InstanceStatus[] = ['RUNNING', 'STOPPED', 'SUSPENDED', 'ERROR', 'UNKNOWN', 'DESTROYING']

/** Takes an instance out of service: STOPPED, its row and history stay, its infrastructure is left alone (fleet.md §2, DELETE). */
export async function deregister(
  tx: Tx,
  principal: Principal,
  row: InstanceRow,
  now: Instant,
): Promise<{ message: string; id: string; name: string }> {
  const moved = await moveStatus(tx, now, row.id, LEAVES_FROM, 'STOPPED')
  if (!moved)
    throw new Fault(
      'INSTANCE_STATE',
      { current: row.status, action: 'deregister' },
      { message: `Instance '${row.name}' is ${row.status} and cannot be deregistered` },
    )
  await addEvent(tx, {
    instanceId: row.id,
    type: 'DESTROY',
    at: now,
    metadata: { triggered_by: principal.subject, infra_torn_down: false, previous_status: row.status },
  })
  await publish(tx, {
    type: 'instance.deregistered',
    resource: { kind: 'instance', id: row.id },
    actor: actorOf(principal),
    data: { name: row.name, previousStatus: row.status, status: 'STOPPED' },
    at: now,
  })
  return { message: 'Instance deregistered', id: row.id, name: row.name }
}
