import { bulk } from './bulk.ts'
import { health } from './health.ts'
import { inbox } from './inbox.ts'
import { jobOutput } from './job-output.ts'
import { join } from './join.ts'
import { locks } from './locks.ts'
import { metrics } from './metrics.ts'
import { oidc } from './oidc.ts'
import { policy } from './policy.ts'
import { principals } from './principals.ts'
import { queues } from './queues.ts'
import { roleBindings } from './role-bindings.ts'
import { session } from './session.ts'
import { tenantSettings } from './tenant-settings.ts'
import { tokens } from './tokens.ts'
import { traces } from './traces.ts'
import { trail } from './trail.ts'
import { verbs } from './verbs.ts'
import { why } from './why.ts'
import { workerKeys } from './worker-keys.ts'
import { workflows } from './workflows.ts'

/** The areas of the native surface, one file each. */
export const native = {
  health,
  metrics,
  jobOutput,
  why,
  queues,
  locks,
  bulk,
  inbox,
  session,
  tokens,
  oidc,
  roleBindings,
  principals,
  tenantSettings,
  policy,
  join,
  trail,
  verbs,
  traces,
  workerKeys,
  workflows,
} as const
