import type { AgentMessage } from '@wheelhouse/sdk/agent-protocol'
import { type Clock, ids } from '../clock/index.ts'
import { type Db, isUniqueViolation, sql, type Tx } from '../db/index.ts'
import { can, type Principal } from '../identity/index.ts'
import {
  type Agent,
  agentByExternalId,
  type Declared,
  findAgent,
  freeName,
  insertAgent,
  noteConnected,
} from './agent.ts'
import { type Connection, IntroductionRefused } from './connection.ts'
import type { Presence } from './presence.ts'
import type { AgentSink } from './sinks.ts'

/** What every agent of the base protocol can do. */
const BASE_CAPABILITIES = ['terminal', 'metrics']
const BASE_HEARTBEAT_MS = 30_000

export interface IntroductionOptions {
  db: Db
  clock: Clock
  presence: Presence
  sinks: readonly AgentSink[]
  heartbeatMs: number
}

/**
 * Binds a connection to its agent by the first message that names it (fleet.md 3.16), and tells the sinks in the same transaction. An
 * agent with a token of its own is known by that, whatever it calls itself; others by their id or name, and are added when the key allows.
 * Throws IntroductionRefused.
 */
export async function introduce(
  options: IntroductionOptions,
  connection: Connection,
  principal: Principal,
  message: AgentMessage,
): Promise<void> {
  const declared = declaredBy(message, connection.instanceHint)
  if (message.type === 'hello') connection.hello = message.payload
  connection.heartbeatMs = message.type === 'hello' ? options.heartbeatMs : BASE_HEARTBEAT_MS
  const bind = () =>
    options.db.tenant(principal.tenantId, (tx) => bindAgent(tx, options, connection, principal, declared))
  try {
    connection.agent = await bind()
  } catch (error) {
    // Two first connections of one agent at once: the second finds what the first has made.
    if (!isUniqueViolation(error)) throw error
    connection.agent = await bind()
  }
}

async function bindAgent(
  tx: Tx,
  { clock, presence, sinks }: IntroductionOptions,
  connection: Connection,
  principal: Principal,
  declared: Declared,
): Promise<Agent> {
  const now = clock.now()
  const own = principal.ownerId === undefined ? undefined : await findAgent(tx, principal.ownerId)
  const named = await agentByExternalId(tx, declared.externalId)
  if (named && named.id !== own?.id) {
    if (named.enrolled) throw new IntroductionRefused(`${declared.externalId} has a token of its own`)
    // The same host, earlier with a shared key.
    if (own) await tx.run(sql`update agents set external_id = null where id = ${named.id}`)
  }
  // Speaking for a machine is a right of its own: whoever may merely look must not take a known agent's place.
  if (!own && !can(principal, 'agent:register'))
    throw new IntroductionRefused(`this key may not speak for ${declared.externalId}`)
  const known = own ?? named
  const id = known?.id ?? ids.next()
  if (!known)
    await insertAgent(tx, now, { id, name: await freeName(tx, declared.externalId), externalId: declared.externalId })
  const { agent, was } = await noteConnected(tx, now, id, declared)
  await presence.begin(tx, {
    tenantId: tx.tenantId,
    agentId: id,
    connection: connection.id,
    heartbeatMs: connection.heartbeatMs,
    at: now,
    resources: {},
    running: 0,
  })
  for (const sink of sinks) {
    await sink.connected?.(tx, agent, {
      created: !known,
      ...(connection.remoteAddress !== undefined && { remoteAddress: connection.remoteAddress }),
    })
    if (was !== 'online') await sink.liveness?.(tx, agent, { from: was, to: 'online' })
  }
  return agent
}

function declaredBy(message: AgentMessage, hint: string | undefined): Declared {
  if (message.type === 'hello') {
    const {
      instance_id: externalId,
      agent_version: version,
      capabilities,
      labels,
      host,
      max_tasks: maxTasks = 16,
    } = message.payload
    return { externalId, version, capabilities, labels, host, maxTasks }
  }
  const { instance_id } = message.payload as { instance_id?: unknown }
  const externalId = typeof instance_id === 'string' && instance_id !== '' ? instance_id : hint
  if (externalId === undefined || externalId.length > 128)
    throw new IntroductionRefused('the first message names no instance')
  return { externalId, version: '', capabilities: BASE_CAPABILITIES, labels: {}, host: {}, maxTasks: 1 }
}
