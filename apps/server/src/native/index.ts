import type { Bound } from '../kernel/http/index.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { routes as health } from './health/routes.ts'
import { routes as jobOutput } from './job-output/routes.ts'

/** What Wheelhouse serves beside the four documents. */
export const nativeRoutes = (kernel: Kernel): Bound[] => [...health(kernel), ...jobOutput(kernel)]
