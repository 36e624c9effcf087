import type { InstanceStatus } from '@wheelhouse/contract/fleet/words'
import { LRUCache } from 'lru-cache'
import type { Agent, AgentSink } from '../../kernel/agents/index.ts'
import { iso, type Instant } from '../../kernel/clock/index.ts'
import { patiently, type Tx } from '../../kernel/db/index.ts'
import { systemPrincipal } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { announce, bindAgent, instanceOfAgent } from '../instances/binding.ts'
import { endedOf } from '../commands/tables.ts'
import { addEvent, type InstanceRow, moveStatus } from '../instances/tables.ts'
import { sampleOf } from '../metrics/sample.ts'
import type { NewLog } from '../logs/store.ts'
import { eventType, logLevel, logSource } from './agent-words.ts'
import { storesOf } from './stores.ts'
import { addUsage } from './usage.ts'

export const STATUS_TOPIC = 'instance_update'

/** Lines of an agent may be longer than those of the HTTP door (fleet.md §2, Logs). */
const MAX_MESSAGE = 10_000

/**
 * What the fleet does with what agents say (fleet.md §3.16, server bookkeeping). Agents send telemetry once and hear of no failure, so it
 * waits here for a database that is away; the connection takes in no more meanwhile than it has places for.
 */
export function fleetSink(kernel: Kernel): AgentSink {
  const { db, clock, feed } = kernel
  const { logs, metrics } = storesOf(kernel)
  const system = (tenantId: string) => systemPrincipal({ id: tenantId, slug: '' })
  /** Which instance an agent serves; read again after a while, since a registration may have moved it. */
  const bound = new LRUCache<string, string>({ max: 50_000, ttl: 60_000 })

  async function instanceId(agent: Agent): Promise<string> {
    const known = bound.get(agent.id)
    if (known !== undefined) return known
    const id = await patiently(() =>
      db.tenant(agent.tenantId, async (tx) => {
        const row = await instanceOfAgent(tx, agent.id)
        return (row ?? (await bindAgent(tx, clock.now(), agent, system(agent.tenantId)))).id
      }),
    )
    bound.set(agent.id, id)
    return id
  }

  /** Tells consoles of a new status after the commit. */
  function tell(tx: Tx, agent: Agent, row: InstanceRow, now: Instant): void {
    tx.afterCommit(() =>
      feed.publishLive(agent.tenantId, STATUS_TOPIC, { instanceId: row.id, status: row.status, updatedAt: iso(now) }),
    )
  }

  async function change(tx: Tx, agent: Agent, from: readonly InstanceStatus[], to: InstanceStatus, lost: boolean) {
    const row = await instanceOfAgent(tx, agent.id)
    if (!row) return
    const now = clock.now()
    const moved = await moveStatus(tx, now, row.id, from, to)
    if (!moved) return
    const metadata = { agent_id: agent.id, previous_status: row.status }
    await addEvent(tx, { instanceId: row.id, type: lost ? 'HEARTBEAT_LOST' : 'HEARTBEAT_RECOVERED', at: now, metadata })
    const type = lost ? 'instance.heartbeat_lost' : 'instance.heartbeat_recovered'
    await announce(tx, now, system(agent.tenantId), row.id, type, { previousStatus: row.status, status: to })
    tell(tx, agent, moved, now)
  }

  return {
    async connected(tx, agent) {
      const row = await bindAgent(tx, clock.now(), agent, system(agent.tenantId))
      bound.set(agent.id, row.id)
      tell(tx, agent, row.status === 'STOPPED' ? { ...row, status: 'RUNNING' } : row, clock.now())
    },

    async liveness(tx, agent, { from, to }) {
      // fleet.md §3.16: ERROR after about two heartbeats, so that an agent that connects anew in time changes nothing.
      if (to === 'online') await change(tx, agent, ['ERROR', 'UNKNOWN'], 'RUNNING', false)
      else if (from === 'online') await change(tx, agent, ['RUNNING'], 'ERROR', true)
    },

    async heartbeat(agent, beat) {
      const at = clock.now()
      await metrics.addBeat(agent.tenantId, {
        instanceId: await instanceId(agent),
        at,
        cpuPercent: beat.cpu_percent ?? null,
        memoryUsed: null,
        memoryTotal: null,
        diskUsed: null,
        diskTotal: null,
        uptimeSeconds: Math.round(beat.uptime_seconds),
      })
    },

    async metrics(agent, frame) {
      const at = clock.now()
      await metrics.addSample(agent.tenantId, sampleOf(await instanceId(agent), at, frame))
    },

    async logs(agent, { path, lines }) {
      const now = clock.now()
      const id = await instanceId(agent)
      await patiently(() =>
        logs.add(
          agent.tenantId,
          lines.flatMap((line): NewLog[] => {
            const message = line.message ?? line.line ?? ''
            if (message === '') return []
            const from = line.path ?? path
            const metadata = from === undefined ? line.metadata : { ...line.metadata, path: from }
            return [
              {
                instanceId: id,
                level: logLevel(line.level),
                source: logSource(line.source),
                message: message.slice(0, MAX_MESSAGE),
                metadata,
                deploymentId: line.deploymentId,
                at: instantOf(line.ts ?? line.timestamp) ?? now,
              },
            ]
          }),
        ),
      )
    },

    async event(agent, event) {
      const now = clock.now()
      const id = await instanceId(agent)
      const type = eventType(event.event_type)
      const at = Math.min(instantOf(event.timestamp) ?? now, now)
      const metadata = { ...event.metadata, ...(event.message === undefined ? {} : { message: event.message }) }
      if (type) {
        await patiently(() => db.tenant(agent.tenantId, (tx) => addEvent(tx, { instanceId: id, type, at, metadata })))
        return
      }
      // A word of the agent's own is kept where it can be read, and taken for nothing that it is not.
      const message = `${event.event_type}: ${event.message ?? ''}`.trim()
      await patiently(() =>
        logs.add(agent.tenantId, [{ instanceId: id, level: 'INFO', source: 'AGENT', message, metadata, at }]),
      )
    },

    async tasks(tenantId, taskIds) {
      // A command's task bears the name of its job (commands/verb.ts). Tasks that are no commands are somebody else's to know.
      const rows = await db.tenant(tenantId, (tx) => endedOf(tx, taskIds))
      return new Map(rows.map(({ jobId, ended }) => [jobId, ended ? 'ended' : 'active']))
    },

    async usage(agent, { records }) {
      const id = await instanceId(agent)
      await patiently(() => db.tenant(agent.tenantId, (tx) => addUsage(tx, id, records, clock.now())))
    },
  }
}

function instantOf(said: string | number | undefined): Instant | undefined {
  if (said === undefined) return undefined
  const instant = typeof said === 'number' ? said : Date.parse(said)
  return Number.isFinite(instant) ? Math.round(instant) : undefined
}
