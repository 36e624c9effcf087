import type { Bound } from '../kernel/http/index.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { routes as audit } from './audit/routes.ts'
import { routes as client } from './client/routes.ts'
import { routes as health } from './health/routes.ts'
import { routes as instances } from './instances/routes.ts'
import { routes as lifecycle } from './lifecycle/routes.ts'
import { routes as logs } from './logs/routes.ts'
import { routes as metrics } from './metrics/routes.ts'
import { routes as overview } from './overview/routes.ts'
import { routes as tickets } from './tickets/routes.ts'
import { routes as version } from './version/routes.ts'

export { fleetDialect } from './dialect.ts'
export { fleetTasks } from './tasks.ts'

/** All that the fleet surface serves. */
export const fleetRoutes = (kernel: Kernel): Bound[] => [
  ...health(kernel),
  ...version(kernel),
  ...client(kernel),
  ...overview(kernel),
  ...instances(kernel),
  ...lifecycle(kernel),
  ...metrics(kernel),
  ...logs(kernel),
  ...tickets(kernel),
  ...audit(kernel),
]
