import type { Heartbeat } from '@wheelhouse/contract/proto/cap_pb'
import type { Logger } from 'pino'
import type { Listening } from '../bus/index.ts'
import type { Clock, Instant } from '../clock/index.ts'
import { at, type Db, jsonb, sql } from '../db/index.ts'
import type { Replicas } from './replicas.ts'
import { factsOf, type WorkerFacts } from './worker-facts.ts'

/** A worker that is not heard of for so long is gone (jobs.md 17.4). */
export const WORKER_TTL_MS = 30_000
/** What a worker that names no limit gets at most. */
const DEFAULT_PARALLEL = 64
const BUSY_PERCENT = 90

/** A live worker as this replica sees it. */
export interface Worker extends WorkerFacts {
  tenantId: string
  account: string
  seenAt: Instant
  /** Jobs that this replica has given it and that have not ended. */
  inFlight: number
  /** What it reported beyond ours at its last heartbeat: the work of other replicas. */
  foreign: number
}

export interface Workers {
  /** Takes a heartbeat in; it reaches the other replicas and, batched, the database. */
  heard(tenantId: string, account: string, heartbeat: Heartbeat): void
  live(tenantId: string): Worker[]
  find(tenantId: string, workerId: string): Worker | undefined
  /** Live workers of a tenant as they were stored, from every replica's view. */
  count(tenantId: string): number
  /** Runs when a worker's heartbeat makes room for work, or it is new. */
  onChange(run: (tenantId: string) => void): void
  /** Loads what other replicas heard before this one was there. */
  start(): Promise<void>
  /** Forgets those that are gone and stores what was heard; each second. Returns who was lost. */
  sweep(): Promise<Worker[]>
  /** Takes these for gone at once, without waiting for their silence. Returns those that were known. */
  lose(tenantId: string, workerIds: readonly string[]): Worker[]
  close(): Promise<void>
}

const keyOf = (tenantId: string, workerId: string): string => `${tenantId} ${workerId}`

/** How much of a worker is taken. */
const used = (worker: Worker): number => worker.inFlight + worker.foreign

/** How many more jobs a worker takes now; none while it is overloaded (jobs.md 17.3 step 6, with every slot in use). */
export function freeSlots(worker: Worker): number {
  if (worker.cpuLoad >= BUSY_PERCENT || worker.gpuUtilization >= BUSY_PERCENT) return 0
  const most = worker.maxParallelJobs > 0 ? worker.maxParallelJobs : DEFAULT_PARALLEL
  return Math.max(0, most - used(worker))
}

/** Lowest is chosen (jobs.md 17.3 step 6); jobs that are on their way count at once. */
export const loadOf = (worker: Worker): number => used(worker) + worker.cpuLoad / 100 + worker.gpuUtilization / 100

/** Labels that the platform writes itself or that name something else than a place. */
const NOT_PLACEMENT = new Set([
  'preferred_worker_id',
  'preferred_pool',
  'secrets_present',
  'workflow_id',
  'run_id',
  'step_id',
  'node_id',
  'worker_id',
  // Written by whoever submits a job again.
  'remediation_of',
  'remediation_id',
  'retry',
  'dlq_entry',
  'retry_of_job',
  'replay_of_job',
  'dry_run',
])

/**
 * Whether a job's labels allow this worker (jobs.md 17.3 step 4 with its fix): labels with the prefix `placement.` must be among the
 * worker's, and so must labels whose name some live worker advertises, unless the platform writes them.
 */
export function placementFits(
  labels: Readonly<Record<string, string>>,
  worker: Worker,
  advertised: ReadonlySet<string>,
): boolean {
  return Object.entries(labels).every(([name, value]) => {
    if (name.startsWith('placement.')) {
      const bare = name.slice('placement.'.length)
      return worker.labels[bare] === value || worker.labels[name] === value
    }
    if (!advertised.has(name) || NOT_PLACEMENT.has(name) || /^(cordum\.|approval_|mcp[._]|concurrency\.)/.test(name))
      return true
    return worker.labels[name] === value
  })
}

/** The registry of everyone's CAP processes. In memory for routing; the table is what a replica that starts begins from. */
export function openWorkers(options: { db: Db; replicas: Replicas; clock: Clock; log: Logger }): Workers {
  const { db, replicas, clock, log } = options
  const known = new Map<string, Worker>()
  const byTenant = new Map<string, Set<string>>()
  const dirty = new Set<string>()
  const changed: ((tenantId: string) => void)[] = []
  let listening: Listening | undefined

  function take(tenantId: string, account: string, facts: WorkerFacts, seenAt: Instant): Worker {
    const key = keyOf(tenantId, facts.workerId)
    const before = known.get(key)
    const inFlight = before?.inFlight ?? 0
    const worker: Worker = {
      ...facts,
      tenantId,
      account,
      seenAt,
      inFlight,
      foreign: Math.max(0, facts.activeJobs - inFlight),
    }
    // The same object stays, so that claims which hold it count on it.
    if (before) Object.assign(before, worker)
    else {
      known.set(key, worker)
      const mine = byTenant.get(tenantId)
      if (mine) mine.add(key)
      else byTenant.set(tenantId, new Set([key]))
    }
    for (const run of changed) run(tenantId)
    return before ?? worker
  }

  return {
    heard(tenantId, account, heartbeat) {
      if (!/^[^\s.*>]{1,128}$/.test(heartbeat.workerId)) {
        log.debug({ tenantId, workerId: heartbeat.workerId }, 'A worker names itself so that no subject can address it')
        return
      }
      const facts = factsOf(heartbeat)
      take(tenantId, account, facts, clock.now())
      dirty.add(keyOf(tenantId, facts.workerId))
      replicas.tell('wh.worker', { tenantId, account, facts })
    },
    live(tenantId) {
      const oldest = clock.now() - WORKER_TTL_MS
      return [...(byTenant.get(tenantId) ?? [])]
        .flatMap((key) => known.get(key) ?? [])
        .filter(({ seenAt }) => seenAt >= oldest)
    },
    find(tenantId, workerId) {
      const worker = known.get(keyOf(tenantId, workerId))
      return worker && worker.seenAt >= clock.now() - WORKER_TTL_MS ? worker : undefined
    },
    count(tenantId) {
      return this.live(tenantId).length
    },
    onChange: (run) => void changed.push(run),
    async start() {
      listening = replicas.hear(
        'wh.worker',
        ({ tenantId, account, facts }) => void take(tenantId, account, facts, clock.now()),
      )
      const rows = await db.engine((tx) =>
        tx.many<{ tenant_id: string; account: string; heartbeat: WorkerFacts; last_heartbeat_at: Instant }>(sql`
          select tenant_id, account, heartbeat, last_heartbeat_at from workers where last_heartbeat_at > ${at(clock.now() - WORKER_TTL_MS)}`),
      )
      for (const row of rows) take(row.tenant_id, row.account, row.heartbeat, row.last_heartbeat_at)
    },
    lose(tenantId, workerIds) {
      return workerIds.flatMap((workerId) => {
        const key = keyOf(tenantId, workerId)
        const worker = known.get(key)
        known.delete(key)
        dirty.delete(key)
        byTenant.get(tenantId)?.delete(key)
        return worker ?? []
      })
    },
    async sweep() {
      const oldest = clock.now() - WORKER_TTL_MS
      const lost = [...known.values()].filter(({ seenAt }) => seenAt < oldest)
      for (const { tenantId, workerId } of lost) {
        const key = keyOf(tenantId, workerId)
        known.delete(key)
        byTenant.get(tenantId)?.delete(key)
        if (byTenant.get(tenantId)?.size === 0) byTenant.delete(tenantId)
      }
      const write = [...dirty].sort().flatMap((key) => known.get(key) ?? [])
      dirty.clear()
      if (write.length > 0) {
        await db.engine((tx) =>
          tx.run(sql`
            insert into workers (tenant_id, worker_id, account, pool, heartbeat, last_heartbeat_at)
            select * from unnest(${write.map(({ tenantId }) => tenantId)}::uuid[], ${write.map(({ workerId }) => workerId)}::text[],
              ${write.map(({ account }) => account)}::text[], ${write.map(({ pool }) => pool)}::text[],
              ${write.map((worker) => jsonb(bare(worker)))}::jsonb[], ${write.map(({ seenAt }) => new Date(seenAt))}::timestamptz[])
            on conflict (tenant_id, worker_id) do update set account = excluded.account, pool = excluded.pool,
              heartbeat = excluded.heartbeat, last_heartbeat_at = excluded.last_heartbeat_at`),
        )
      }
      return lost
    },
    async close() {
      listening?.close()
    },
  }
}

/** The facts alone, as they are stored. */
function bare(worker: Worker): WorkerFacts {
  const {
    tenantId: _tenant,
    account: _account,
    seenAt: _seen,
    inFlight: _inFlight,
    foreign: _foreign,
    ...facts
  } = worker
  return facts
}
