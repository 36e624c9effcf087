import type { Bound } from '../kernel/http/index.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { routes as environments } from './environments/routes.ts'
import { routes as freezeWindows } from './freeze-windows/routes.ts'
import { routes as targets } from './targets/routes.ts'

export { releaseDialect } from './dialect.ts'

/** All that the release surface serves. */
export const releaseRoutes = (kernel: Kernel): Bound[] => [
  ...environments(kernel),
  ...freezeWindows(kernel),
  ...targets(kernel),
]
