import type { ConfigScope } from '@wheelhouse/contract/jobs/config'
import { LRUCache } from 'lru-cache'
import type { Logger } from 'pino'
import { type Db, sql, type Tx } from '../db/index.ts'
import { type Document, findDocument } from './documents.ts'
import { type Effective, mergeDocuments } from './merge.ts'
import { type Routing, routingOf } from './routing.ts'

/** Where something runs; the tenant's own two documents count everywhere. */
export interface ConfigPlace {
  teamId?: string | undefined
  workflowId?: string | undefined
  stepId?: string | undefined
}

/** The configuration of all tenants, as it is in force. */
export interface TenantConfig {
  /** The merged configuration for a place. */
  effective(tenantId: string, place?: ConfigPlace): Promise<Effective>
  /** The same without waiting; undefined when it must be read first. For hot paths, which then ask `effective`. */
  peek(tenantId: string, place: ConfigPlace): Effective | undefined
  /** Topics, pools and timeouts. */
  routing(tenantId: string): Promise<Routing>
  /** To be called after the commit of a write: what is asked from now on is read anew, here at once and soon on other replicas. */
  changed(tenantId: string): void
  close(): Promise<void>
}

export interface TenantConfigOptions {
  db: Db
  log: Logger
  /** Hears the nudge `wh.wake.config` of other replicas. Without it the sweep alone finds their changes. */
  onWake(handler: () => void): { close(): void }
  /** Sends that nudge. It may be lost. */
  wake(): void
  /** How long a lost nudge can leave an old configuration in force; default 2 s. */
  sweepMs?: number
}

/** What is known of one tenant, read in one transaction. */
interface Known {
  revision: number
  routing: Routing
  everywhere: Effective
  own: readonly Document[]
  /** The other documents that there are, as `scope id`: a place without any of them is `everywhere`. */
  others: ReadonlySet<string>
  places: LRUCache<string, Effective>
}

const MAX_TENANTS = 10_000

/** Opens the service; it reads a tenant's configuration at the first question and keeps it until it changes. */
export function openTenantConfig({ db, log, onWake, wake, sweepMs = 2000 }: TenantConfigOptions): TenantConfig {
  const known = new LRUCache<string, Known>({ max: MAX_TENANTS })
  const loading = new Map<string, Promise<Known>>()
  /** Raised by every change: a read that began before it must not be kept. */
  let generation = 0
  let refreshing: Promise<void> | undefined
  let again = false
  let closed = false

  function load(tenantId: string): Promise<Known> {
    const running = loading.get(tenantId)
    if (running) return running
    const began = generation
    const reading = db
      .tenant(tenantId, readTenant)
      .then((read) => {
        if (began === generation) known.set(tenantId, read)
        return read
      })
      .finally(() => {
        if (loading.get(tenantId) === reading) loading.delete(tenantId)
      })
    loading.set(tenantId, reading)
    return reading
  }

  const current = async (tenantId: string): Promise<Known> => known.get(tenantId) ?? (await load(tenantId))

  function forget(tenantId: string): void {
    generation += 1
    known.delete(tenantId)
    // Who asks after this waits for a read that begins after this.
    loading.delete(tenantId)
  }

  async function sweep(): Promise<void> {
    do {
      again = false
      const tenants = [...known.keys()]
      if (tenants.length === 0) return
      const heads = await db.engine((tx) =>
        tx.many<{ tenantId: string; revision: number }>(
          sql`select tenant_id as "tenantId", revision from config_heads where tenant_id = any(${tenants}::uuid[])`,
        ),
      )
      for (const { tenantId, revision } of heads) if (revision !== known.peek(tenantId)?.revision) forget(tenantId)
      // A nudge that came meanwhile may be about a commit that the statement above did not see.
    } while (again)
  }

  function refresh(): void {
    if (closed) return
    again = refreshing !== undefined
    refreshing ??= sweep()
      .catch((error: unknown) => log.warn({ err: error }, 'Configuration could not be looked at; it is tried again'))
      .finally(() => {
        refreshing = undefined
      })
  }

  const listening = onWake(refresh)
  const timer = setInterval(refresh, sweepMs)
  timer.unref()

  return {
    async effective(tenantId, place = {}) {
      const tenant = await current(tenantId)
      const asked = presentAt(tenant, place)
      if (asked.length === 0) return tenant.everywhere
      const key = JSON.stringify(asked)
      const found = tenant.places.get(key)
      if (found) return found
      const documents = await db.tenant(tenantId, async (tx) => {
        const more: (Document | undefined)[] = []
        for (const [scope, id] of asked) more.push(await findDocument(tx, scope, id))
        return more.filter((each) => each !== undefined)
      })
      const merged = mergeDocuments([...tenant.own, ...documents])
      // What was read is newer than the tenant's when somebody wrote between; then the tenant is forgotten with it.
      tenant.places.set(key, merged)
      return merged
    },
    peek(tenantId, place) {
      const tenant = known.get(tenantId)
      if (!tenant) return undefined
      const asked = presentAt(tenant, place)
      return asked.length === 0 ? tenant.everywhere : tenant.places.get(JSON.stringify(asked))
    },
    routing: async (tenantId) => (await current(tenantId)).routing,
    changed(tenantId) {
      forget(tenantId)
      wake()
    },
    async close() {
      closed = true
      clearInterval(timer)
      listening.close()
      await refreshing
      await Promise.allSettled(loading.values())
    },
  }
}

function presentAt({ others }: Known, { teamId, workflowId, stepId }: ConfigPlace): [ConfigScope, string][] {
  if (others.size === 0) return []
  const asked: [ConfigScope, string | undefined][] = [
    ['team', teamId],
    ['workflow', workflowId],
    ['step', stepId],
  ]
  return asked.filter(
    (each): each is [ConfigScope, string] => each[1] !== undefined && others.has(`${each[0]} ${each[1]}`),
  )
}

async function readTenant(tx: Tx): Promise<Known> {
  // The revision first: documents that are newer than it only make the next comparison read once more.
  const head = await tx.maybe<{ revision: number }>(sql`select revision from config_heads`)
  const system = await findDocument(tx, 'system', 'default')
  const org = await findDocument(tx, 'org', tx.tenantId)
  const rows = await tx.many<{ scope: string; scope_id: string }>(
    sql`select scope, scope_id from config_documents where scope in ('team', 'workflow', 'step')`,
  )
  const own = [system, org].filter((each) => each !== undefined)
  return {
    revision: head?.revision ?? 0,
    routing: routingOf(system?.data ?? {}),
    everywhere: mergeDocuments(own),
    own,
    others: new Set(rows.map(({ scope, scope_id }) => `${scope} ${scope_id}`)),
    places: new LRUCache({ max: 200 }),
  }
}
