import { Fault } from '@wheelhouse/contract'
import { type InstanceStatus, LIFECYCLE_ACTIONS, type LifecycleAction } from '@wheelhouse/contract/fleet/words'

/** fleet.md §2, Instance Lifecycle: the single source of truth of what each status allows. */
const ALLOWED: Readonly<Record<InstanceStatus, readonly LifecycleAction[]>> = {
  RUNNING: ['suspend', 'destroy', 'backup'],
  SUSPENDED: ['resume', 'destroy', 'backup'],
  STOPPED: ['resume', 'destroy'],
  ERROR: ['resume', 'destroy'],
  DESTROYING: [],
  DEPLOYING: [],
  DESTROYED: [],
  UNKNOWN: [],
}

/** The actions that are offered, in the order of the document. */
export const allowedActions = (status: InstanceStatus): LifecycleAction[] =>
  LIFECYCLE_ACTIONS.filter((action) => ALLOWED[status].includes(action))

/** Whether an action may be asked for: beside what is offered, a destroy that hangs may be tried again. */
export const allows = (status: InstanceStatus, action: LifecycleAction): boolean =>
  ALLOWED[status].includes(action) || (status === 'DESTROYING' && action === 'destroy')

/** 409 that names the present status and what it would allow. */
export function requireAllowed(status: InstanceStatus, action: LifecycleAction, name: string): void {
  if (allows(status, action)) return
  throw new Fault(
    'INSTANCE_STATE',
    { current: status, action, allowed: allowedActions(status) },
    { message: `Instance '${name}' is ${status} and cannot ${action} now` },
  )
}
