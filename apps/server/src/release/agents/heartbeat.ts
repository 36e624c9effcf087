import { type Body, Fault, type Value } from '@wheelhouse/contract'
import type { agents } from '@wheelhouse/contract/release/agents'
import { record } from '../../kernel/audit/index.ts'
import { type Instant, iso } from '../../kernel/clock/index.ts'
import { sql, type Tx } from '../../kernel/db/index.ts'
import type { RequestFacts } from '../../kernel/http/index.ts'
import { actorOf, type Principal } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { currentCertificate, issueCertificate, publicKeyOfRequest, RENEW_MS } from './certificates.ts'
import { type AgentRow, configOf, getAgent, noteHeartbeat, saveReport } from './tables.ts'
import { renewedToken } from './tokens.ts'

type Heartbeat = Body<typeof agents.heartbeat>
type HeartbeatReply = Value<typeof agents.heartbeat>

/**
 * Takes an agent's heartbeat: notes that it is there and what it says of itself, and answers how it should behave, with a certificate
 * or a token where its own end soon. Throws PERM_AGENT_MISMATCH for everyone but the agent itself.
 */
export async function takeHeartbeat(
  kernel: Kernel,
  principal: Principal,
  agentId: string,
  body: Heartbeat,
  request: RequestFacts,
): Promise<HeartbeatReply> {
  const { db, clock, agents: hub } = kernel
  if (principal.ownerId !== agentId) throw new Fault('PERM_AGENT_MISMATCH', { agentId })
  if (kernel.config.agent.requireCertificate)
    throw new Fault('AUTH_AGENT_CERT_INVALID', undefined, {
      message:
        'This installation demands client certificates, which only its own listener could read: none came with the request',
    })
  const now = clock.now()
  const publicKey = body.csr === undefined ? undefined : publicKeyOfRequest(body.csr)
  const { row, certificate } = await db.tenant(principal.tenantId, async (tx) => {
    const agent = await liveAgent(tx, agentId)
    await noteReport(tx, principal, agent, body, now)
    return { row: agent, certificate: await renewedCertificate(tx, kernel, agent, publicKey, now) }
  })
  const config = configOf(row)
  hub.presence.beat({
    tenantId: principal.tenantId,
    agentId,
    connection: 'http',
    heartbeatMs: config.heartbeatInterval * 1000,
    at: now,
    resources: body.resources,
    running: body.runningTasks.length,
  })
  // Steady heartbeats are written together; one that brings an agent back is written at once.
  if (row.liveness !== 'online') await hub.presence.flush()
  const token = await renewedToken(kernel, principal, request, now)
  return {
    serverTime: iso(now),
    config,
    tasks: [],
    cancelTasks: [],
    ...(certificate ? { certificate } : {}),
    ...(token === undefined ? {} : { token }),
  }
}

async function liveAgent(tx: Tx, id: string): Promise<AgentRow> {
  const gone = await tx.maybe(sql`select 1 from agents where id = ${id} and state = 'revoked'`)
  if (gone) throw new Fault('AGT_REVOKED', { agentId: id })
  return getAgent(tx, id)
}

async function noteReport(tx: Tx, principal: Principal, agent: AgentRow, body: Heartbeat, now: Instant): Promise<void> {
  const capabilities = body.capabilities ?? agent.capabilities
  await saveReport(tx, now, agent.id, { version: body.version, status: body.status, capabilities })
  const { cpuPercent, memoryPercent } = body.resources
  const intervalMs = configOf(agent).heartbeatInterval * 1000
  await noteHeartbeat(tx, now, agent.id, { intervalMs, cpuPercent, memoryPercent })
  if (
    capabilities.length === agent.capabilities.length &&
    capabilities.every((each) => agent.capabilities.includes(each))
  )
    return
  // release.md §22.6: changes of capabilities are in the trail.
  await record(tx, {
    at: now,
    actor: { ...actorOf(principal), kind: 'agent', id: agent.id, name: agent.name },
    verb: 'agent.update',
    resourceKind: 'agent',
    resourceId: agent.id,
    outcome: 'ok',
    before: { capabilities: agent.capabilities },
    after: { capabilities },
  })
}

/** A certificate for a new key when one is asked for, or for the same key when the present one ends soon. */
async function renewedCertificate(
  tx: Tx,
  { vault }: Kernel,
  agent: AgentRow,
  asked: Buffer | undefined,
  now: Instant,
): Promise<HeartbeatReply['certificate']> {
  const current = asked ? undefined : await currentCertificate(tx, agent.id)
  const publicKey = asked ?? (current && current.expiresAt - now < RENEW_MS ? current.publicKey : undefined)
  if (!publicKey) return undefined
  const { cert, ca, expiresAt } = await issueCertificate(tx, vault, now, agent.id, { publicKey })
  return { cert, ca, expiresAt }
}
