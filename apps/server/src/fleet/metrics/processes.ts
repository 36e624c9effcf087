import { Fault } from '@wheelhouse/contract'
import { iso } from '../../kernel/clock/index.ts'
import type { Principal } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { findInstance } from '../instances/tables.ts'

/** How many the document asks for (fleet.md §2, Metrics). */
const TOP = 10

/** The processes that use most of a machine now, as its agent sees them. Throws AGENT_OFFLINE or AGENT_CAPABILITY_MISSING. */
export async function topProcesses({ db, agents, clock }: Kernel, principal: Principal, id: string) {
  const row = await db.tenant(principal.tenantId, (tx) => findInstance(tx, principal, id))
  if (row.agentId === null)
    throw new Fault('AGENT_OFFLINE', { instanceId: id }, { message: `No agent has ever connected for '${row.name}'` })
  const { at, processes } = await agents.processes(principal.tenantId, row.agentId, { limit: TOP, sort: 'cpu' })
  return {
    instance_id: row.id,
    timestamp: Number.isNaN(Date.parse(at)) ? iso(clock.now()) : iso(Date.parse(at)),
    processes: processes.slice(0, TOP).map((each) => ({
      pid: each.pid,
      name: each.name,
      cpu_percent: each.cpu_percent,
      memory_bytes: each.memory_bytes,
      memory_percent: each.memory_percent,
      status: each.status,
      user: each.user,
    })),
  }
}
