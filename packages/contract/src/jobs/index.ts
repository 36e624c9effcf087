import { approvals } from './approvals.ts'
import { artifacts } from './artifacts.ts'
import { auth } from './auth.ts'
import { config } from './config.ts'
import { dlq } from './dlq.ts'
import { jobs as work } from './jobs.ts'
import { locks } from './locks.ts'
import { memory } from './memory.ts'
import { marketplace, packs } from './packs.ts'
import { policyBundles } from './policy-bundles.ts'
import { policy } from './policy.ts'
import { runs } from './runs.ts'
import { schemas } from './schemas.ts'
import { sso } from './sso.ts'
import { status } from './status.ts'
import { stream } from './stream.ts'
import { traces } from './traces.ts'
import { users } from './users.ts'
import { workers } from './workers.ts'
import { workflows } from './workflows.ts'

/** The areas of the jobs surface, one file each. */
export const jobs = {
  jobs: work,
  approvals,
  locks,
  dlq,
  workers,
  stream,
  traces,
  artifacts,
  auth,
  sso,
  memory,
  policy,
  policyBundles,
  workflows,
  runs,
  status,
  users,
  config,
  schemas,
  packs,
  marketplace,
} as const
