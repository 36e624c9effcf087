import type { AgentSink } from '../../kernel/agents/index.ts'
import { record } from '../../kernel/audit/index.ts'
import { publish } from '../../kernel/events/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'

/** Tells that agents come and go (release.md Appendix B), and keeps gaps of heartbeats in the trail (§22.6). */
export const agentSink = ({ clock }: Kernel): AgentSink => ({
  async liveness(tx, agent, { from, to }) {
    const at = clock.now()
    const actor = { kind: 'agent' as const, id: agent.id, name: agent.name, onBehalfOf: [] }
    const resource = { kind: 'agent', id: agent.id }
    if (to === 'lost') {
      await publish(tx, { type: 'agent.offline', resource, actor, data: { name: agent.name }, at })
      await record(tx, {
        at,
        actor: { ...actor, kind: 'system', name: 'Wheelhouse' },
        verb: 'agent.lost',
        resourceKind: 'agent',
        resourceId: agent.id,
        outcome: 'failed',
        metadata: { name: agent.name },
      })
    } else if (from === 'lost')
      await publish(tx, { type: 'agent.online', resource, actor, data: { name: agent.name }, at })
  },
})
