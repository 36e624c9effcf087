export {
  type Agent,
  agentByExternalId,
  agentColumns,
  findAgent,
  type Host,
  type Liveness,
  revokeAgent,
} from './agent.ts'
export { createJoinToken, enrolAgent, type Enrolment, type NewJoinToken, redeemJoinToken } from './enrol.ts'
export { Detached, type ExecRequest, type ExecResult } from './exec.ts'
export { type Agents, type AgentsOptions, openAgents } from './hub.ts'
export { type AgentSink, type TaskState } from './sinks.ts'
export { type AttachedTerminal, type TerminalRequest, type Terminals, type TerminalWatcher } from './terminals.ts'
