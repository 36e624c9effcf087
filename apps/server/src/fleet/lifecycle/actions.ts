import { Fault } from '@wheelhouse/contract'
import type { LifecycleAction } from '@wheelhouse/contract/fleet/words'
import type { InstanceRow } from '../instances/tables.ts'
import { requireAllowed } from './state.ts'

/** Why nothing can be done with the provider of an instance: this installation holds no driver for any of them. */
export const driverMissing = ({ provider }: Pick<InstanceRow, 'provider'>, action: LifecycleAction): string =>
  `No driver for the provider '${provider}' is configured, so Wheelhouse cannot ${action} this instance. Nothing was changed.`

/**
 * Does a lifecycle action with the provider of an instance, or refuses it and changes nothing: 409 where its status forbids it,
 * 422 where there is no driver that could do it (decisions D5; a status is never flipped without the effect).
 */
export function act(row: InstanceRow, action: LifecycleAction): never {
  requireAllowed(row.status, action, row.name)
  throw new Fault(
    'PROVIDER_DRIVER_MISSING',
    { provider: row.provider, action },
    { message: driverMissing(row, action), extra: { code: 'PROVIDER_DRIVER_MISSING' } },
  )
}
