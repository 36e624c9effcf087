import type { Logger } from 'pino'
import type { Clock, Instant } from '../clock/index.ts'
import { at, type Db, instants, jsonb, sql, texts, type Tx, words } from '../db/index.ts'
import { type Agent, agentColumns, type Liveness } from './agent.ts'
import type { AgentSink } from './sinks.ts'

/** Late after 2 intervals without a heartbeat, lost after 3 (unification 4). */
const LATE_INTERVALS = 2
const LOST_INTERVALS = 3
const FLUSH_MS = 1_000
const ADOPT_MS = 60_000

export interface Beat {
  tenantId: string
  agentId: string
  connection: string
  heartbeatMs: number
  at: Instant
  resources: Readonly<Record<string, number>>
  running: number
}

export interface Presence {
  /** Notes a heartbeat; written within a second together with all others. */
  beat(beat: Beat): void
  /** Writes a connection's presence with the transaction that binds it. */
  begin(tx: Tx, beat: Beat): Promise<void>
  /** Writes what waits; called by the timer, at closing, and by tests. */
  flush(): Promise<void>
  /** Finds agents whose heartbeats stay away, and tells the sinks, once in the cluster. */
  sweep(): Promise<void>
  /** Puts agents that should be present but have no row (the table is not logged) under watch. */
  adopt(): Promise<void>
  start(): void
  close(): Promise<void>
}

interface PresenceOptions {
  db: Db
  clock: Clock
  log: Logger
  replica: string
  sinks: readonly AgentSink[]
}

export function openPresence({ db, clock, log, replica, sinks }: PresenceOptions): Presence {
  const waiting = new Map<string, Beat>()
  let timer: NodeJS.Timeout | undefined
  let round: Promise<void> | undefined
  let adoptedAt = 0

  async function flush(): Promise<void> {
    if (waiting.size === 0) return
    // Sorted by key: two replicas that write the same agents never wait for each other in a circle.
    const beats = [...waiting.values()].toSorted(
      (a, b) => compare(a.tenantId, b.tenantId) || compare(a.agentId, b.agentId),
    )
    waiting.clear()
    const column = (key: 'tenantId' | 'agentId' | 'connection' | 'heartbeatMs' | 'running') =>
      words(beats.map((beat) => beat[key]))
    let returned: { tenantId: string; agentId: string }[]
    try {
      returned = await db.engine((tx) =>
        tx.many<{ tenantId: string; agentId: string }>(sql`
          with written as (
            insert into agent_presence (tenant_id, agent_id, replica, connection, heartbeat_ms, last_heartbeat_at, resources, running)
            select t, a, ${replica}, c, h, l, r::jsonb, n
              from unnest(${column('tenantId')}::uuid[], ${column('agentId')}::uuid[], ${column('connection')}::text[], ${column('heartbeatMs')}::int[],
                          ${instants(beats.map((beat) => beat.at))}::timestamptz[], ${texts(beats.map((beat) => jsonb(beat.resources)))}::text[], ${column('running')}::int[])
                   as beat (t, a, c, h, l, r, n)
            on conflict (tenant_id, agent_id) do update set
              replica = excluded.replica, connection = excluded.connection, heartbeat_ms = excluded.heartbeat_ms, running = excluded.running,
              last_heartbeat_at = greatest(agent_presence.last_heartbeat_at, excluded.last_heartbeat_at), resources = excluded.resources
            returning tenant_id, agent_id, (liveness <> 'online' or xmax = 0) as returned)
          select tenant_id as "tenantId", agent_id as "agentId" from written where returned`),
      )
    } catch (error) {
      // What came meanwhile is newer.
      for (const beat of beats) if (!waiting.has(beat.agentId)) waiting.set(beat.agentId, beat)
      throw error
    }
    for (const { tenantId, agentId } of returned)
      await db.tenant(tenantId, (tx) => moveLiveness(tx, sinks, clock.now(), agentId, 'online'))
  }

  async function sweep(): Promise<void> {
    const now = clock.now()
    const stale = await db.engine((tx) =>
      tx.many<{ tenantId: string; agentId: string }>(sql`
        select tenant_id as "tenantId", agent_id as "agentId" from agent_presence
         where last_heartbeat_at < ${at(now)}::timestamptz - heartbeat_ms * interval '1 millisecond' * (case liveness when 'online' then ${LATE_INTERVALS}::int else ${LOST_INTERVALS}::int end)
         order by tenant_id, agent_id limit 1000`),
    )
    for (const { tenantId, agentId } of stale) await db.tenant(tenantId, (tx) => judge(tx, now, agentId))
  }

  // Looks again under the row's lock: a heartbeat may have come, or another replica been faster.
  async function judge(tx: Tx, now: Instant, agentId: string): Promise<void> {
    // The agent's row first, as everywhere: whoever took the two the other way round could wait for us for ever.
    await tx.run(sql`select 1 from agents where id = ${agentId} for update`)
    const row = await tx.maybe<{ seen: Instant; heartbeatMs: number }>(sql`
      select last_heartbeat_at as seen, heartbeat_ms as "heartbeatMs" from agent_presence where agent_id = ${agentId} for update`)
    if (!row) return
    const intervals = (now - row.seen) / row.heartbeatMs
    if (intervals > LOST_INTERVALS) await moveLiveness(tx, sinks, now, agentId, 'lost')
    else if (intervals > LATE_INTERVALS) await moveLiveness(tx, sinks, now, agentId, 'late')
  }

  async function adopt(): Promise<void> {
    adoptedAt = clock.now()
    const tenants = await db.engine((tx) => tx.many<{ id: string }>(sql`select id from tenants where state = 'active'`))
    for (const { id } of tenants) {
      await db.tenant(id, (tx) =>
        tx.run(sql`
          insert into agent_presence (tenant_id, agent_id, replica, connection, heartbeat_ms, last_heartbeat_at)
          select tenant_id, id, '', '', 30000, ${at(adoptedAt)} from agents where liveness <> 'lost'
          on conflict do nothing`),
      )
    }
  }

  async function work(): Promise<void> {
    try {
      await flush()
      await sweep()
      if (clock.now() - adoptedAt > ADOPT_MS) await adopt()
    } catch (error) {
      log.warn({ err: error }, 'Heartbeats could not be written; they are tried again')
    }
  }

  function runOnce(): Promise<void> {
    round ??= work().finally(() => {
      round = undefined
    })
    return round
  }

  return {
    beat: (beat) => void waiting.set(beat.agentId, beat),
    async begin(tx, beat) {
      await tx.run(sql`
        insert into agent_presence (tenant_id, agent_id, replica, connection, heartbeat_ms, last_heartbeat_at)
        values (${tx.tenantId}, ${beat.agentId}, ${replica}, ${beat.connection}, ${beat.heartbeatMs}, ${at(beat.at)})
        on conflict (tenant_id, agent_id) do update set replica = excluded.replica, connection = excluded.connection,
          heartbeat_ms = excluded.heartbeat_ms, last_heartbeat_at = excluded.last_heartbeat_at, liveness = 'online'`)
    },
    flush,
    sweep,
    adopt,
    start() {
      timer = setInterval(() => void runOnce(), FLUSH_MS)
      timer.unref()
    },
    async close() {
      clearInterval(timer)
      await round
      await flush().catch((error: unknown) => log.warn({ err: error }, 'The last heartbeats could not be written'))
    },
  }
}

/** Writes a change of liveness and tells the sinks in the same transaction; nothing happens when it is so already. */
async function moveLiveness(
  tx: Tx,
  sinks: readonly AgentSink[],
  now: Instant,
  agentId: string,
  to: Liveness,
): Promise<void> {
  const moved = await tx.maybe<Agent & { was: Liveness }>(sql`
    update agents set liveness = ${to}, updated_at = ${at(now)}, lost_at = case when ${to} = 'lost' then ${at(now)} else agents.lost_at end,
           last_heartbeat_at = coalesce((select max(last_heartbeat_at) from agent_presence where agent_id = ${agentId}), agents.last_heartbeat_at)
      from (select id as before_id, liveness as was from agents where id = ${agentId} for update) as before
     where agents.id = before_id and was <> ${to} and agents.deleted_at is null
    returning ${agentColumns}, was`)
  if (to === 'lost') await tx.run(sql`delete from agent_presence where agent_id = ${agentId}`)
  else await tx.run(sql`update agent_presence set liveness = ${to} where agent_id = ${agentId} and liveness <> ${to}`)
  if (!moved) return
  const { was, ...agent } = moved
  for (const sink of sinks) await sink.liveness?.(tx, agent, { from: was, to })
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
