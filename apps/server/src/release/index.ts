import type { Bound } from '../kernel/http/index.ts'
import type { Kernel } from '../kernel/kernel.ts'

export { releaseDialect } from './dialect.ts'

/** All that the release surface serves. */
export const releaseRoutes = (_kernel: Kernel): Bound[] => []
