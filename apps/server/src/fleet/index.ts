import type { Bound } from '../kernel/http/index.ts'
import type { Kernel } from '../kernel/kernel.ts'

export { fleetDialect } from './dialect.ts'

/** All that the fleet surface serves. */
export const fleetRoutes = (_kernel: Kernel): Bound[] => []
