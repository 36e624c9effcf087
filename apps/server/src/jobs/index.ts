import type { Bound } from '../kernel/http/index.ts'
import type { Kernel } from '../kernel/kernel.ts'

export { jobsDialect } from './dialect.ts'

/** All that the jobs surface serves. */
export const jobsRoutes = (_kernel: Kernel): Bound[] => []
