import type { Bound } from '../kernel/http/index.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { routes as approvals } from './approvals/routes.ts'
import { routes as artifacts } from './artifacts/routes.ts'
import { routes as auth } from './auth/routes.ts'
import { routes as config } from './config/routes.ts'
import { routes as dlq } from './dlq/routes.ts'
import { routes as jobs } from './jobs/routes.ts'
import { routes as locks } from './locks/routes.ts'
import { routes as memory } from './memory/routes.ts'
import { routes as packs } from './packs/routes.ts'
import { routes as policy } from './policy/routes.ts'
import { routes as schemas } from './schemas/routes.ts'
import { routes as runs } from './runs/routes.ts'
import { routes as sso } from './sso/routes.ts'
import { routes as status } from './status/routes.ts'
import { routes as stream } from './stream/routes.ts'
import { routes as traces } from './traces/routes.ts'
import { routes as users } from './users/routes.ts'
import { routes as workers } from './workers/routes.ts'
import { routes as workflows } from './workflows/routes.ts'

export { jobsDialect } from './dialect.ts'
export { openGrpc } from './grpc/server.ts'

/** All that the jobs surface serves. */
export const jobsRoutes = (kernel: Kernel): Bound[] => [
  ...jobs(kernel),
  ...approvals(kernel),
  ...locks(kernel),
  ...dlq(kernel),
  ...workers(kernel),
  ...stream(kernel),
  ...traces(),
  ...artifacts(kernel),
  ...auth(kernel),
  ...sso(kernel),
  ...memory(kernel),
  ...policy(kernel),
  ...workflows(),
  ...runs(kernel),
  ...status(kernel),
  ...users(kernel),
  ...schemas(),
  ...config(kernel),
  ...packs(kernel),
]
