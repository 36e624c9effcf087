import { Fault } from '@wheelhouse/contract'
import { fleet } from '@wheelhouse/contract/fleet/index'
import type { LogEntry, LogQuery } from '@wheelhouse/contract/fleet/logs'
import { type Instant, iso } from '../../kernel/clock/index.ts'
import type { ListQuery, Tx } from '../../kernel/db/index.ts'
import { type Context, serve } from '../../kernel/http/index.ts'
import type { Principal } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { findInstance, findInstances } from '../instances/tables.ts'
import { hiddenFrom, notFound } from '../instances/visibility.ts'
import { storesOf } from '../telemetry/stores.ts'
import { countLogs, findLog, pageOfLogs } from './queries.ts'
import type { NewLog } from './store.ts'
import { tailLogs } from './tail.ts'

const HOUR_MS = 3_600_000

/** Log lines: stored, found, counted and followed (fleet.md §2, Logs). */
export const routes = (kernel: Kernel) => {
  const { db, feed } = kernel

  const page = async (tx: Tx, principal: Principal, query: LogQuery, list: ListQuery) => {
    const { search, ...filter } = query
    return pageOfLogs(db, principal.tenantId, { ...filter, hidden: await hiddenFrom(tx, principal) }, search, list)
  }

  /** Stores entries whose instances the caller may see; one that is unknown refuses all. */
  const store = async (principal: Principal, entries: readonly LogEntry[]) => {
    const wanted = [...new Set(entries.map(({ instanceId }) => instanceId))]
    const known = await db.tenant(principal.tenantId, (tx) => findInstances(tx, principal, wanted))
    const found = new Set(known.map(({ id }) => id))
    const missing = wanted.find((id) => !found.has(id))
    if (missing !== undefined) throw notFound(missing)
    return storesOf(kernel).logs.add(principal.tenantId, entries.map(newLog))
  }

  const follow = async (principal: Principal, wanted: readonly string[]) => {
    const known = await db.tenant(principal.tenantId, (tx) => findInstances(tx, principal, wanted))
    const missing = wanted.find((id) => !known.some((row) => row.id === id))
    if (missing !== undefined) throw notFound(missing)
  }

  return serve('fleet', fleet.logs, {
    listLogs: ({ tx, principal, query, list }) => page(tx, principal, query, list),

    async getLogStats({ tx, principal, query }) {
      const counts = await countLogs(tx, { hidden: await hiddenFrom(tx, principal), ...window(query) })
      return {
        ...counts,
        totalLogs: counts.total,
        totalErrors: counts.byLevel['ERROR'] ?? 0,
        totalWarns: counts.byLevel['WARN'] ?? 0,
      }
    },

    async streamLogs(context) {
      const wanted = [...new Set(context.query.instanceIds.split(',').filter((id) => id !== ''))]
      if (wanted.length === 0 || wanted.length > 200)
        throw new Fault('VAL_SCHEMA', { in: 'query' }, { message: 'instanceIds must name 1 to 200 instances' })
      await follow(context.principal, wanted)
      await context.stream.comment('connected')
      await tailLogs(feed, context.principal.tenantId, new Set(wanted), context.stream)
    },

    async ingestLog({ principal, body }) {
      const [made] = await store(principal, [body])
      if (!made) throw new Error('A stored line is not there')
      return made
    },

    async ingestLogs({ principal, body }) {
      return { count: (await store(principal, body.entries)).length }
    },

    getLog: async ({ tx, principal, params }) => findLog(tx, params.id, await hiddenFrom(tx, principal)),

    async listInstanceLogs({ tx, principal, params, query, list }) {
      await findInstance(tx, principal, params.instanceId)
      // The id in the path wins over one in the query.
      return page(tx, principal, { ...query, instanceId: params.instanceId }, list)
    },

    async getInstanceLogStats({ tx, principal, params, query, now }) {
      const { id } = await findInstance(tx, principal, params.instanceId)
      const counts = await countLogs(tx, { instanceId: id, hidden: [], ...window(query) })
      const recent = await countLogs(tx, { instanceId: id, hidden: [], from: now - HOUR_MS, to: now + HOUR_MS })
      const share = (level: string) => (counts.total === 0 ? 0 : (counts.byLevel[level] ?? 0) / counts.total)
      return {
        instanceId: id,
        total: counts.total,
        byLevel: counts.byLevel,
        bySource: counts.bySource,
        errorRate: share('ERROR'),
        warnRate: share('WARN'),
        recentErrors: recent.byLevel['ERROR'] ?? 0,
      }
    },

    async streamInstanceLogs(context: Context<typeof fleet.logs.streamInstanceLogs>) {
      const { instanceId } = context.params
      await follow(context.principal, [instanceId])
      await context.stream.send({ data: { type: 'connected', instanceId, timestamp: iso(context.now) } })
      await tailLogs(feed, context.principal.tenantId, new Set([instanceId]), context.stream)
    },
  })
}

const newLog = ({ timestamp, ...entry }: LogEntry): NewLog => ({
  ...entry,
  at: timestamp === undefined ? undefined : Date.parse(timestamp),
})

/** The ends of a window as instants. An end before its beginning is an empty window. */
function window({ from, to }: { from?: string; to?: string }): { from?: Instant; to?: Instant } {
  return {
    ...(from === undefined ? {} : { from: Date.parse(from) }),
    ...(to === undefined ? {} : { to: Math.max(Date.parse(to), from === undefined ? 0 : Date.parse(from)) }),
  }
}
