/** Agents for tests of the domains: the real program, and a peer that speaks the base protocol. */
export { BasePeer, RealAgent, until } from '../kernel/agents/hub-harness.ts'
