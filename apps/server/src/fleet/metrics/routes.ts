import { Fault } from '@wheelhouse/contract'
import { fleet } from '@wheelhouse/contract/fleet/index'
import type { MetricRange } from '@wheelhouse/contract/fleet/metrics'
import type { EventType } from '@wheelhouse/contract/fleet/words'
import { type Instant, iso } from '../../kernel/clock/index.ts'
import { sql } from '../../kernel/db/index.ts'
import { serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { findInstance } from '../instances/tables.ts'
import { hiddenFrom, visibleInstances } from '../instances/visibility.ts'
import { topProcesses } from './processes.ts'
import { aggregates, datapoints, latest, points } from './queries.ts'

const HOUR_MS = 3_600_000
const RANGES: Readonly<Record<MetricRange, number>> = {
  '1h': HOUR_MS,
  '6h': 6 * HOUR_MS,
  '24h': 24 * HOUR_MS,
  '7d': 168 * HOUR_MS,
}

/** Measurements, processes, events and extensions of instances (fleet.md §2, Metrics). */
export const routes = (kernel: Kernel) =>
  serve('fleet', fleet.metrics, {
    async getTimeseries({ tx, principal, query, now }) {
      const since = now - RANGES[query.range]
      const hidden = await hiddenFrom(tx, principal)
      return {
        range: query.range,
        since: iso(since),
        datapoints: await datapoints(tx, since, { instanceId: query.instanceId, hidden }),
      }
    },

    async getTimeseriesRange({ tx, principal, query, now }) {
      const { granularity, limit, instanceId } = query
      const window = between(query)
      const hidden = await hiddenFrom(tx, principal)
      const found = await points(tx, now, { ...window, granularity, limit }, { instanceId, hidden })
      return {
        points: found,
        meta: {
          instanceId: instanceId ?? null,
          from: iso(window.from),
          to: iso(window.to),
          granularity,
          count: found.length,
        },
      }
    },

    async getAggregate({ tx, principal, query, now }) {
      const { from, to } = between(query)
      const hidden = await hiddenFrom(tx, principal)
      const found = await aggregates(tx, now, from, to, { instanceId: query.instanceId, hidden })
      return {
        aggregates: found,
        meta: { instanceId: query.instanceId ?? null, from: iso(from), to: iso(to), count: found.length },
      }
    },

    async getLatest({ tx, principal, query, now }) {
      const named = query.instanceIds?.split(',').filter((id) => id !== '')
      const found = await latest(
        tx,
        now,
        sql`${visibleInstances(principal)} and ${named === undefined ? sql`status <> 'DESTROYED'` : sql`id = any(${named})`}`,
      )
      return { metrics: found, count: found.length }
    },

    async getInstanceMetrics({ tx, principal, params, query, now }) {
      const { id } = await findInstance(tx, principal, params.id)
      const since = now - RANGES[query.range]
      const found = await datapoints(tx, since, { instanceId: id, hidden: [] })
      return {
        instanceId: id,
        range: query.range,
        since: iso(since),
        datapoints: found.map(({ instanceId: _, ...point }) => point),
      }
    },

    listProcesses: ({ principal, params }) => topProcesses(kernel, principal, params.id),

    async listInstanceEvents({ tx, principal, params, query }) {
      const { id } = await findInstance(tx, principal, params.id)
      const rows = await tx.many<{
        id: string
        type: EventType
        at: Instant
        metadata: Record<string, unknown> | null
      }>(sql`
        select id, type, at, metadata from instance_events where instance_id = ${id} order by at desc, id desc limit ${query.limit}`)
      return { instanceId: id, events: rows.map(({ at, ...event }) => ({ ...event, timestamp: iso(at) })) }
    },

    async listInstanceExtensions({ tx, principal, params, now }) {
      const row = await findInstance(tx, principal, params.id)
      // Nobody has looked: an extension that was declared is not therefore healthy (fleet.md §4, 15).
      return {
        instanceId: row.id,
        instanceStatus: row.status,
        extensions: row.extensions.map((name) => ({ name, status: 'unknown' as const, lastChecked: iso(now) })),
      }
    },
  })

function between({ from, to }: { from: string; to: string }): { from: Instant; to: Instant } {
  const window = { from: Date.parse(from), to: Date.parse(to) }
  if (window.from < window.to) return window
  throw new Fault(
    'VAL_SCHEMA',
    { in: 'query' },
    {
      message: 'from must be before to',
      violations: [{ field: 'from', message: 'must be before to', code: 'max' }],
    },
  )
}
