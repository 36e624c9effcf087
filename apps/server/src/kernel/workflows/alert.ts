import { type Bus, encodePacket, newPacket } from '../bus/index.ts'
import type { Instant } from '../clock/index.ts'
import type { JobEngine } from '../jobs/index.ts'
import type { Effect } from './state.ts'

export type Alert = Extract<Effect, { kind: 'notify' }>

/** What a `notify` step says (jobs.md 21.1, 29.3): to the tenant's own subjects, and to the sockets that watch it. Best effort. */
export function sendAlert(
  { bus, jobs }: { bus: Bus; jobs: JobEngine },
  to: { tenantId: string; account: string; runId: string; at: Instant },
  { level, message, code, component }: Alert,
): void {
  const packet = newPacket(to.runId, 'workflow-engine', to.at, {
    case: 'alert',
    value: { level, message: message.slice(0, 100_000), code, component },
  })
  const bytes = encodePacket(packet)
  bus.toAccount(to.account, 'sys.workflow.event', bytes)
  jobs.showPacket(to.tenantId, packet, bytes)
}
