import type { Logger } from 'pino'
import type { Approvals } from '../approvals/index.ts'
import type { Accounts, Bus } from '../bus/index.ts'
import type { Clock } from '../clock/index.ts'
import type { Db } from '../db/index.ts'
import type { Events, Feed } from '../events/index.ts'
import type { Identity } from '../identity/index.ts'
import type { PolicyEngine } from '../policy/index.ts'
import type { TenantConfig } from '../tenant-config/index.ts'
import type { JobTracer } from '../traces/index.ts'
import type { Brakes } from './brakes.ts'
import type { Fair } from './fair.ts'
import type { Frozen } from './frozen.ts'
import type { Loan } from './loans.ts'
import type { RedisPointers } from './redis-pointers.ts'
import type { Replicas } from './replicas.ts'
import type { Signals } from './signals.ts'
import type { NewRow } from './store.ts'
import type { Slots } from './slots.ts'
import type { Verb } from './verb.ts'
import type { Workers } from './workers.ts'

/** What the engine is opened with. */
export interface JobsOptions {
  db: Db
  bus: Bus
  accounts: Accounts
  identity: Identity
  policy: PolicyEngine
  tenantConfig: TenantConfig
  approvals: Approvals
  events: Events
  feed: Feed
  clock: Clock
  log: Logger
  tracer: JobTracer
  /** A Redis that one tenant's workers read and write themselves. */
  redisPointers?: RedisPointers | undefined
  /** Hears of each job that is handed to a worker or to its verb. For counters. */
  onDispatch(topic: string): void
}

/** What the parts of the engine share. */
export interface Core extends JobsOptions {
  replicas: Replicas
  signals: Signals
  workers: Workers
  verbs: Verbs
  brakes: Brakes
  fair: Fair
  slots: Slots
  frozen: Frozen
  /** Number under which this replica holds leases. */
  owner: number
  /** A free worker's slot for a job that is about to be recorded; undefined where it must wait its turn. */
  lend(row: NewRow): Loan | undefined
  /** Tells the dispatcher that there is ready work; after the commit that made it so. */
  hint(pool: string, tenantId: string): void
  /** Tells the workflow engine that a run has something to take in; after the commit that wrote it. Null: the job is no step. */
  told(tenantId: string, runId: string | null): void
  /** Ends what this replica still does for a job that has ended otherwise: after the commit. */
  ended(tenantId: string, jobId: string): void
}

/** Verbs by name and by topic. */
export interface Verbs {
  add(verb: Verb): void
  find(nameOrTopic: string): Verb | undefined
  all(): readonly Verb[]
}

export function openVerbs(): Verbs {
  const byName = new Map<string, Verb>()
  const byTopic = new Map<string, Verb>()
  return {
    add(verb) {
      if (byName.has(verb.name) || byTopic.has(verb.topic)) throw new Error(`The verb ${verb.name} is registered twice`)
      byName.set(verb.name, verb)
      byTopic.set(verb.topic, verb)
    },
    find: (nameOrTopic) => byName.get(nameOrTopic) ?? byTopic.get(nameOrTopic),
    all: () => [...byName.values()],
  }
}
