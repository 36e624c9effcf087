import type { AgentPayload } from '@wheelhouse/sdk/agent-protocol'
import type { Tx } from '../db/index.ts'
import type { Agent, Liveness } from './agent.ts'

/** What an agent's own task is to us: known and going on, or over (also: never heard of). */
export type TaskState = 'active' | 'ended'

/**
 * Who wants to know what agents say. Domains register one at start. Telemetry comes after the fact and at most once; while a sink's
 * promises are open, the agent's socket is read no further than a few messages.
 */
export interface AgentSink {
  /** An agent has connected; in the transaction that notes it. `created`: it was unknown before. */
  connected?(tx: Tx, agent: Agent, facts: { created: boolean; remoteAddress?: string }): Promise<void>
  /** The agent's liveness has changed; in the transaction that notes it, once in the cluster. */
  liveness?(tx: Tx, agent: Agent, change: { from: Liveness; to: Liveness }): Promise<void>
  heartbeat?(agent: Agent, heartbeat: AgentPayload<'heartbeat'>): void | Promise<void>
  metrics?(agent: Agent, metrics: AgentPayload<'metrics'>): void | Promise<void>
  /** `lines` have their level, message and time as the agent sent them. */
  logs?(agent: Agent, batch: AgentPayload<'log:batch'>): void | Promise<void>
  event?(agent: Agent, event: AgentPayload<'event'>): void | Promise<void>
  usage?(agent: Agent, batch: AgentPayload<'llm_usage:batch'>): void | Promise<void>
  /** Whether tasks that an agent still holds are of use: results of ended ones are acknowledged, and ended ones that run are cancelled. */
  tasks?(tenantId: string, taskIds: readonly string[]): Promise<ReadonlyMap<string, TaskState>>
}
