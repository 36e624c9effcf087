import type { Logger } from 'pino'
import type { Clock, Instant } from '../clock/index.ts'
import { at, jsonb, sql, type Db, type Tx } from '../db/index.ts'
import { PolicySourceError, compilePolicy, orderSources } from './compile.ts'
import type { PolicySource } from './compile.ts'
import type { Decision } from './decision.ts'
import { evaluate } from './evaluate.ts'
import { explain } from './explain.ts'
import type { Explanation } from './explain.ts'
import type { PolicyRequest } from './request.ts'
import type { Snapshot } from './snapshot.ts'
import { listDocuments } from './store.ts'

export interface PolicyEngineOptions {
  readonly db: Db
  readonly clock: Clock
  readonly log: Logger
  /** Hears the nudge `wh.wake.policy` of other replicas. Without it the sweep alone finds their changes. */
  readonly onWake?: (handler: () => void) => { close(): void }
  /** Sends that nudge. It may be lost. */
  readonly wake?: () => void
  /** How long a lost nudge can leave an old policy in force; default 2 s. */
  readonly sweepMs?: number
}

/** The policy of one tenant as this process knows it. */
export interface LoadedPolicy {
  /** Undefined: no policy is loaded, so jobs wait and evaluation denies (decisions D5). */
  readonly snapshot: Snapshot | undefined
  /** Of `policy_heads`: a higher one there means that this is no longer the newest. */
  readonly revision: number
  readonly loadedAt: Instant
  /** Set while the newest documents do not compile and an older policy is in force. */
  readonly problem: string | undefined
}

const MAX_TENANTS = 1000
const KEPT_SNAPSHOTS = 200

/**
 * The compiled policies of all tenants. Each is loaded when it is first needed and again when its documents changed: at
 * once for a change made here, within a nudge for one made by another replica, within the sweep if the nudge was lost.
 * Documents that do not compile leave the last good policy in force, also over a restart.
 */
export class PolicyEngine {
  readonly #options: PolicyEngineOptions
  readonly #known = new Map<string, LoadedPolicy>()
  readonly #loading = new Map<string, Promise<LoadedPolicy>>()
  #listening: { close(): void } | undefined
  #timer: NodeJS.Timeout | undefined
  #refreshing: Promise<void> | undefined
  #again = false
  readonly #unrefreshed = (error: unknown): void => {
    this.#options.log.warn({ err: error }, 'Policy could not be refreshed; the one before stays in force')
  }

  constructor(options: PolicyEngineOptions) {
    this.#options = options
  }

  /** Begins to listen and to sweep. */
  start(): void {
    const run = () => void this.refresh().catch(this.#unrefreshed)
    this.#listening = this.#options.onWake?.(run)
    this.#timer = setInterval(run, this.#options.sweepMs ?? 2000)
    this.#timer.unref()
  }

  /** Ends listening and sweeping, and waits for what is under way. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#listening?.close()
    await Promise.allSettled([this.#refreshing, ...this.#loading.values()])
  }

  /** What is loaded of a tenant, without waiting; undefined when nothing was asked for yet. For batches, after `current`. */
  peek(tenantId: string): LoadedPolicy | undefined {
    return this.#known.get(tenantId)
  }

  /** The tenant's policy; loaded at the first call. */
  async current(tenantId: string): Promise<LoadedPolicy> {
    return this.#known.get(tenantId) ?? (await this.#load(tenantId))
  }

  /** The tenant's policy as it is committed now: one small statement more than `current`, so that a caller sees its own writes. */
  async fresh(tenantId: string): Promise<LoadedPolicy> {
    const [head] = await this.#heads([tenantId])
    let loaded = await this.current(tenantId)
    // A load that others began may have read before the commit; the next one cannot.
    while (loaded.revision < (head?.revision ?? 0)) loaded = await this.#load(tenantId)
    return loaded
  }

  /** Decides under the tenant's current policy. */
  async evaluate(tenantId: string, request: PolicyRequest): Promise<Decision> {
    return evaluate((await this.current(tenantId)).snapshot, request)
  }

  /** Decides and explains under the policy as it is committed now. */
  async explain(tenantId: string, request: PolicyRequest): Promise<Explanation> {
    return explain((await this.fresh(tenantId)).snapshot, request)
  }

  /** To be called after the commit of a change: takes it up here and nudges the other replicas. Never throws: the sweep heals. */
  async changed(tenantId: string): Promise<void> {
    this.#options.wake?.()
    if (this.#known.has(tenantId)) await this.fresh(tenantId).catch(this.#unrefreshed)
  }

  /** Loads again what changed of the tenants that are known. Calls while one runs are joined into one more. */
  refresh(): Promise<void> {
    this.#again = this.#refreshing !== undefined
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  async #refresh(): Promise<void> {
    do {
      this.#again = false
      if (this.#known.size === 0) return
      const heads = await this.#heads([...this.#known.keys()])
      for (const { tenantId, revision } of heads) {
        if (revision > (this.#known.get(tenantId)?.revision ?? 0)) await this.#load(tenantId).catch(this.#unrefreshed)
      }
      // A nudge that came meanwhile may be about a commit that the statement above did not see.
    } while (this.#again)
  }

  #heads(tenantIds: readonly string[]): Promise<{ tenantId: string; revision: number }[]> {
    return this.#options.db.engine((tx) =>
      tx.many(
        sql`select tenant_id as "tenantId", revision from policy_heads where tenant_id = any(${[...tenantIds]}::uuid[])`,
      ),
    )
  }

  /** Loads once for all who ask meanwhile; a load that began before a newer commit is followed by the next refresh. */
  #load(tenantId: string): Promise<LoadedPolicy> {
    const running = this.#loading.get(tenantId)
    if (running) return running
    const loading = this.#read(tenantId).finally(() => this.#loading.delete(tenantId))
    this.#loading.set(tenantId, loading)
    return loading
  }

  async #read(tenantId: string): Promise<LoadedPolicy> {
    const { db, clock, log } = this.#options
    const before = this.#known.get(tenantId)
    const loaded = await db.tenant(tenantId, async (tx): Promise<LoadedPolicy> => {
      // The revision first: documents that are newer than it only make the next comparison load once more.
      const head = await tx.maybe<{ revision: number }>(sql`select revision from policy_heads`)
      const revision = head?.revision ?? 0
      const documents = await listDocuments(tx)
      const common = { revision, loadedAt: clock.now() }
      try {
        const snapshot = compilePolicy(documents)
        if (snapshot && snapshot.id !== before?.snapshot?.id) await keep(tx, snapshot.id, documents, common)
        return { ...common, snapshot, problem: undefined }
      } catch (error) {
        if (!(error instanceof PolicySourceError)) throw error
        const snapshot = before ? before.snapshot : await lastGood(tx, log)
        log.warn({ tenantId, policy: error.sourceId, inForce: snapshot?.id ?? '' }, error.message)
        return { ...common, snapshot, problem: error.message }
      }
    })
    const known = this.#known.get(tenantId)
    if (known && known.revision > loaded.revision) return known
    this.#known.delete(tenantId)
    this.#known.set(tenantId, loaded)
    if (this.#known.size > MAX_TENANTS) this.#forgetOldest()
    return loaded
  }

  #forgetOldest(): void {
    const [oldest] = this.#known.keys()
    if (oldest !== undefined) this.#known.delete(oldest)
  }
}

/** Records what came into force. Sources that come back (a rollback) are the newest again. */
async function keep(
  tx: Tx,
  id: string,
  documents: readonly PolicySource[],
  { revision, loadedAt }: { revision: number; loadedAt: Instant },
): Promise<void> {
  const sources = orderSources(documents).map((source) => ({ id: source.id, content: source.content }))
  const written = await tx.run(sql`
    insert into policy_snapshots (tenant_id, id, revision, sources, loaded_at)
    values (${tx.tenantId}, ${id}, ${revision}, ${jsonb(sources)}, ${at(loadedAt)})
    on conflict (tenant_id, id) do update set revision = excluded.revision, loaded_at = excluded.loaded_at
      where policy_snapshots.revision < excluded.revision`)
  if (written === 0) return
  await tx.run(sql`
    delete from policy_snapshots where id in
      (select id from policy_snapshots order by revision desc, loaded_at desc offset ${KEPT_SNAPSHOTS})`)
}

async function lastGood(tx: Tx, log: Logger): Promise<Snapshot | undefined> {
  const row = await tx.maybe<{ id: string }>(
    sql`select id from policy_snapshots order by revision desc, loaded_at desc limit 1`,
  )
  try {
    return row && (await snapshotAt(tx, row.id))
  } catch (error) {
    if (!(error instanceof PolicySourceError)) throw error
    // Only a version of ours that reads files more strictly can come here; jobs then wait for a policy.
    log.error({ tenantId: tx.tenantId, policy: error.sourceId }, error.message)
    return undefined
  }
}

/** The ids of what was in force, newest first (jobs.md 10 shows ten). */
export async function listSnapshotIds(tx: Tx, limit = 10): Promise<string[]> {
  const rows = await tx.many<{ id: string }>(
    sql`select id from policy_snapshots order by revision desc, loaded_at desc limit ${limit}`,
  )
  return rows.map(({ id }) => id)
}

/** The policy that a stored decision names, compiled again; undefined when it is no longer kept. */
export async function snapshotAt(tx: Tx, id: string): Promise<Snapshot | undefined> {
  const row = await tx.maybe<{ sources: { id: string; content: string }[] }>(
    sql`select sources from policy_snapshots where id = ${id}`,
  )
  return row && compilePolicy(row.sources.map((source) => ({ ...source, enabled: true })))
}
