import type { Bound } from '../kernel/http/index.ts'
import type { Kernel } from '../kernel/kernel.ts'

export { platformDialect } from './dialect.ts'

/** All that the platform surface serves. */
export const platformRoutes = (_kernel: Kernel): Bound[] => []
