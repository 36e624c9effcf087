import type { Bound } from '../kernel/http/index.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { routes as instances } from './instances/routes.ts'
import { routes as lifecycle } from './lifecycle/routes.ts'

export { fleetDialect } from './dialect.ts'

/** All that the fleet surface serves. */
export const fleetRoutes = (kernel: Kernel): Bound[] => [...instances(kernel), ...lifecycle(kernel)]
