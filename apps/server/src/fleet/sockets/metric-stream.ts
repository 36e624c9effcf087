import type { WebSocket } from 'ws'
import type { Principal } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { findInstance, findInstances } from '../instances/tables.ts'
import type { Sample } from '../metrics/sample.ts'
import { METRIC_TOPIC } from '../metrics/store.ts'
import { lifeOf } from './life.ts'
import { readFrame, send } from './message.ts'
import { openSight } from './sight.ts'

/** Instances that one socket may follow. */
const MOST = 1000

/** Samples as they come, of the instance in the query and of those that are subscribed to (fleet.md §3.6). */
export async function openMetricStream(
  { db, feed, clock, log }: Kernel,
  principal: Principal,
  instanceId: string | undefined,
): Promise<(socket: WebSocket) => void> {
  if (instanceId !== undefined) await db.tenant(principal.tenantId, (tx) => findInstance(tx, principal, instanceId))
  const sight = await openSight(db, clock, principal)
  return (socket) => {
    const wanted = new Set(instanceId === undefined ? [] : [instanceId])
    lifeOf(socket, principal, clock)
    const leave = feed.subscribeLive(principal.tenantId, [METRIC_TOPIC], ({ data }) => {
      const sample = data as Sample
      if (wanted.has(sample.instanceId) && sight.sees(sample.instanceId)) send(socket, snapshot(sample))
    })
    socket.once('close', leave)
    const subscribe = async (ids: readonly string[]) => {
      const known = await db.tenant(principal.tenantId, (tx) => findInstances(tx, principal, ids))
      for (const { id } of known) if (wanted.size < MOST) wanted.add(id)
    }
    socket.on('message', (raw: Buffer) => {
      const message = readFrame(raw)
      for (const id of message?.unsubscribe ?? []) wanted.delete(id)
      if (!message?.subscribe?.length) return
      subscribe(message.subscribe).catch((error: unknown) => log.warn({ err: error }, 'A subscription failed'))
    })
  }
}

const snapshot = (sample: Sample) => ({
  type: 'metrics:snapshot',
  instance_id: sample.instanceId,
  ts: sample.at,
  cpu_percent: sample.cpuPercent,
  memory_used: sample.memUsed,
  memory_total: sample.memTotal,
  disk_used: sample.diskUsed,
  disk_total: sample.diskTotal,
  network_bytes_in: sample.netBytesRecv ?? 0,
  network_bytes_out: sample.netBytesSent ?? 0,
})
