import type { Log } from '@wheelhouse/contract/fleet/logs'
import type { LogLevel, LogSource } from '@wheelhouse/contract/fleet/words'
import type { Logger } from 'pino'
import { type Clock, ids, type Instant, iso } from '../../kernel/clock/index.ts'
import { type Db, instants, jsonb, openBatch, sql, storable, texts, type Tx, words } from '../../kernel/db/index.ts'
import type { Feed } from '../../kernel/events/index.ts'
import type { EnsureDays } from '../telemetry/days.ts'

/** Logs are kept this long (decisions D10). */
export const LOG_RETENTION_MS = 30 * 86_400_000
/** Clocks of hosts may run ahead of ours. */
const AHEAD_MS = 5 * 60_000
const HOUR_MS = 3_600_000
/** Lines in one live event, so that it fits a frame of the bus. */
const LIVE_LINES = 50

export const LOG_TOPIC = 'logs'

export interface NewLog {
  instanceId: string
  level: LogLevel
  source: LogSource
  message: string
  metadata?: Readonly<Record<string, unknown>> | undefined
  deploymentId?: string | undefined
  /** Absent: now. Held within the retention and five minutes ahead. */
  at?: Instant | undefined
}

interface Line extends NewLog {
  tenantId: string
  id: string
  at: Instant
}

export interface LogStore {
  /** Stores lines of one tenant, all or none, durable when it resolves; then live tails see them. Instances are checked by the caller. */
  add(tenantId: string, lines: readonly NewLog[]): Promise<Log[]>
}

export function openLogStore({
  db,
  feed,
  clock,
  log,
  days,
}: {
  db: Db
  feed: Feed
  clock: Clock
  log: Logger
  days: EnsureDays
}): LogStore {
  const batch = openBatch<readonly Line[], true>(
    { name: 'log lines', log, maxItems: 2000, sizeOf: (lines) => lines.length, maxQueued: 50_000, windowMs: 20 },
    async (calls) => {
      const lines = calls.flat()
      await days(
        'logs',
        lines.map((line) => line.at),
      )
      await db.engine(async (tx) => {
        await insertLines(tx, lines)
        await countLines(tx, lines)
      })
      return calls.map((): true => true)
    },
  )
  return {
    async add(tenantId, lines) {
      const now = clock.now()
      const made = lines.map((line): Line => {
        const when = Math.min(Math.max(line.at ?? now, now - LOG_RETENTION_MS), now + AHEAD_MS)
        return { ...line, message: storable(line.message), tenantId, at: when, id: ids.at(when) }
      })
      if (made.length > 0) await batch.add(made)
      const shown = made.map(shownLog)
      for (let from = 0; from < shown.length; from += LIVE_LINES)
        feed.publishLive(tenantId, LOG_TOPIC, shown.slice(from, from + LIVE_LINES))
      return shown
    },
  }
}

export const shownLog = (line: {
  id: string
  instanceId: string
  level: LogLevel
  source: LogSource
  message: string
  metadata?: Readonly<Record<string, unknown>> | null | undefined
  deploymentId?: string | null | undefined
  at: Instant
}): Log => ({
  id: line.id,
  instanceId: line.instanceId,
  level: line.level,
  source: line.source,
  message: line.message,
  metadata: line.metadata ?? null,
  deploymentId: line.deploymentId ?? null,
  timestamp: iso(line.at),
})

const insertLines = (tx: Tx, lines: readonly Line[]): Promise<number> =>
  tx.run(sql`
    insert into logs (tenant_id, at, id, instance_id, level, source, message, metadata, deployment_id)
    select tenant_id, at, id, instance_id, level, source, message, metadata::jsonb, deployment_id from unnest(
      ${words(lines.map((line) => line.tenantId))}::uuid[], ${instants(lines.map((line) => line.at))}::timestamptz[],
      ${words(lines.map((line) => line.id))}::uuid[], ${words(lines.map((line) => line.instanceId))}::text[],
      ${words(lines.map((line) => line.level))}::text[], ${words(lines.map((line) => line.source))}::text[],
      ${texts(lines.map((line) => line.message))}::text[],
      ${texts(lines.map(({ metadata }) => (metadata === undefined ? null : jsonb(metadata))))}::text[],
      ${words(lines.map(({ deploymentId }) => deploymentId ?? null))}::text[])
      as line (tenant_id, at, id, instance_id, level, source, message, metadata, deployment_id)`)

/** Counts by the hour, in the order of their key, so that two batches never wait for each other in a circle. */
async function countLines(tx: Tx, lines: readonly Line[]): Promise<void> {
  const counts = new Map<string, { line: Line; n: number }>()
  for (const line of lines) {
    const key = [line.tenantId, Math.floor(line.at / HOUR_MS), line.instanceId, line.level, line.source].join('\0')
    const known = counts.get(key)
    if (known) known.n++
    else counts.set(key, { line, n: 1 })
  }
  const sorted = [...counts].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, count]) => count)
  const firsts = sorted.map(({ line }) => line)
  await tx.run(sql`
    insert into log_counts (tenant_id, hour, instance_id, level, source, n)
    select * from unnest(
      ${words(firsts.map((line) => line.tenantId))}::uuid[], ${instants(firsts.map((line) => line.at - (line.at % HOUR_MS)))}::timestamptz[],
      ${words(firsts.map((line) => line.instanceId))}::text[], ${words(firsts.map((line) => line.level))}::text[],
      ${words(firsts.map((line) => line.source))}::text[], ${words(sorted.map(({ n }) => n))}::bigint[])
    on conflict (tenant_id, hour, instance_id, level, source) do update set n = log_counts.n + excluded.n`)
}
