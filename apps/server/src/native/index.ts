import type { Bound } from '../kernel/http/index.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { routes as bulk } from './bulk/routes.ts'
import { routes as health } from './health/routes.ts'
import { routes as inbox } from './inbox/routes.ts'
import { routes as jobOutput } from './job-output/routes.ts'
import { routes as join } from './join/routes.ts'
import { routes as locks } from './locks/routes.ts'
import { routes as metrics } from './metrics/routes.ts'
import { routes as oidc } from './oidc/routes.ts'
import { routes as policy } from './policy/routes.ts'
import { routes as principals } from './principals/routes.ts'
import { routes as queues } from './queues/routes.ts'
import { routes as roleBindings } from './role-bindings/routes.ts'
import { routes as session } from './session/routes.ts'
import { routes as tenantSettings } from './tenant-settings/routes.ts'
import { routes as tokens } from './tokens/routes.ts'
import { routes as traces } from './traces/routes.ts'
import { routes as trail } from './trail/routes.ts'
import { routes as verbs } from './verbs/routes.ts'
import { routes as workerKeys } from './worker-keys/routes.ts'
import { routes as why } from './why/routes.ts'
import { routes as workflows } from './workflows/routes.ts'

/** What Wheelhouse serves beside the four documents. */
export const nativeRoutes = (kernel: Kernel): Bound[] => [
  ...health(kernel),
  ...metrics(kernel),
  ...session(kernel),
  ...tokens(kernel),
  ...oidc(kernel),
  ...roleBindings(kernel),
  ...principals(kernel),
  ...tenantSettings(),
  ...policy(kernel),
  ...join(kernel),
  ...trail(kernel),
  ...jobOutput(kernel),
  ...locks(),
  ...queues(kernel),
  ...bulk(kernel),
  ...inbox(kernel),
  ...why(kernel),
  ...verbs(kernel),
  ...workflows(kernel),
  ...workerKeys(kernel),
  ...traces(),
]
