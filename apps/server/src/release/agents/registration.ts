import { type Body, Fault, type Value } from '@wheelhouse/contract'
import type { agents } from '@wheelhouse/contract/release/agents'
import { DEFAULT_AGENT_CONFIG } from '@wheelhouse/contract/release/agents'
import { agentByExternalId, enrolAgent } from '../../kernel/agents/index.ts'
import { record } from '../../kernel/audit/index.ts'
import { ids, type Instant, iso } from '../../kernel/clock/index.ts'
import { at, isUniqueViolation, jsonb, sql, type Tx } from '../../kernel/db/index.ts'
import { publish } from '../../kernel/events/index.ts'
import type { RequestFacts } from '../../kernel/http/index.ts'
import { newOpaqueToken, type Principal, secretHash } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { requireAccess } from '../access.ts'
import { findEnvironment } from '../environments/tables.ts'
import { noSuch, refuseBody } from '../resource.ts'
import { issueCertificate, publicKeyOfRequest } from './certificates.ts'
import { saveRegistration } from './tables.ts'
import { TOKEN_LIFE_MS } from './tokens.ts'

type Registration = Body<typeof agents.register>
type NewToken = Body<typeof agents.createToken>

/** Makes a one-time token (release.md §6.4, beyond the overview). The clear text is in the answer and nowhere else. */
export async function createRegistrationToken(
  tx: Tx,
  principal: Principal,
  body: NewToken,
  now: Instant,
): Promise<Value<typeof agents.createToken>> {
  for (const [i, id] of (body.environmentIds ?? []).entries()) {
    const environment = await findEnvironment(tx, id)
    if (!environment) return refuseBody(noSuch(`environmentIds[${i}]`, 'environment'))
    requireAccess(principal, 'agent:create', environment)
  }
  const token = newOpaqueToken('reg_')
  const id = ids.next()
  const expiresAt = now + body.expiresInSeconds * 1000
  await tx.run(sql`
    insert into agent_join_tokens (tenant_id, id, secret_hash, name, labels, capabilities, environment_ids, created_by, created_at, expires_at)
    values (${tx.tenantId}, ${id}, ${secretHash(token)}, ${body.name ?? null}, ${jsonb(body.labels ?? {})}, ${body.capabilities ?? null},
            ${body.environmentIds ?? null}, ${principal.id}, ${at(now)}, ${at(expiresAt)})`)
  return { id, token, expiresAt: iso(expiresAt) }
}

interface TokenRow {
  id: string
  labels: Record<string, string>
  capabilities: string[] | null
  environmentIds: string[] | null
  expiresAt: Instant
  usedAt: Instant | null
}

/**
 * Registers an agent with a one-time token, its only credential: uses the token up, makes agent, key and certificate in one transaction,
 * and gives the agent its first JWT. Throws AGT_TOKEN_INVALID, AGT_TOKEN_EXPIRED, AGT_TOKEN_USED, RES_DUPLICATE_NAME; then the token is as before.
 */
export async function registerAgent(
  kernel: Kernel,
  token: string | undefined,
  body: Registration,
  request: RequestFacts,
): Promise<Value<typeof agents.register>> {
  const { db, vault, clock, tokens, authenticator } = kernel
  if (token === undefined || token === '')
    throw new Fault('AGT_TOKEN_INVALID', undefined, { message: 'X-Agent-Token is missing' })
  const hash = secretHash(token)
  const found = await db.auth((tx) =>
    tx.maybe<{ tenantId: string }>(
      sql`select tenant_id as "tenantId" from agent_join_tokens where secret_hash = ${hash}`,
    ),
  )
  if (!found) throw new Fault('AGT_TOKEN_INVALID')
  const publicKey = body.csr === undefined ? undefined : publicKeyOfRequest(body.csr)
  const now = clock.now()
  const made = await db.tenant(found.tenantId, async (tx) => {
    const row = await useToken(tx, hash, now)
    refuseBeyond(row, body)
    const { agentId, token: key } = await enrol(tx, now, row, body)
    const certificate = await issueCertificate(tx, vault, now, agentId, publicKey ? { publicKey } : {})
    await tell(tx, now, agentId, row.id, body, request)
    return { agentId, key, certificate }
  })
  // The agent's own key is what its JWTs hang on; it is not given away itself.
  const principal = await authenticator.opaque(made.key)
  const issued = await tokens.issue(principal, TOKEN_LIFE_MS)
  const { serial: _serial, ...certificate } = made.certificate
  return { agentId: made.agentId, token: issued.token, config: DEFAULT_AGENT_CONFIG, certificate }
}

async function useToken(tx: Tx, hash: Buffer, now: Instant): Promise<TokenRow> {
  // The row's lock is the guard of the one use: of two agents with the same token, one passes.
  const row = await tx.one<TokenRow>(sql`
    select id, labels, capabilities, environment_ids as "environmentIds", expires_at as "expiresAt", used_at as "usedAt"
      from agent_join_tokens where secret_hash = ${hash} for update`)
  if (row.usedAt !== null) throw new Fault('AGT_TOKEN_USED')
  if (row.expiresAt <= now) throw new Fault('AGT_TOKEN_EXPIRED')
  await tx.run(sql`update agent_join_tokens set used_at = ${at(now)} where id = ${row.id}`)
  return row
}

function refuseBeyond({ capabilities: allowed }: TokenRow, { capabilities }: Registration): void {
  if (!allowed) return
  const [first, ...more] = capabilities.flatMap((each, i) =>
    allowed.includes(each)
      ? []
      : [{ field: `capabilities[${i}]`, message: 'is not among those that the token allows', code: 'enum' as const }],
  )
  if (first) refuseBody(first, ...more)
}

async function enrol(tx: Tx, now: Instant, row: TokenRow, body: Registration) {
  const duplicate = (cause?: unknown): never => {
    throw new Fault('RES_DUPLICATE_NAME', { name: body.name }, { cause })
  }
  const taken = await tx.maybe(sql`select 1 from agents where name = ${body.name} and deleted_at is null`)
  if (taken ?? (await agentByExternalId(tx, body.name))) duplicate()
  const enrolment = await enrolAgent(tx, now, { name: body.name, labels: { ...body.labels, ...row.labels } }).catch(
    (error: unknown) => (isUniqueViolation(error, 'agents_name') ? duplicate(error) : Promise.reject(error as Error)),
  )
  await tx.run(sql`update agent_join_tokens set used_by = ${enrolment.agentId} where id = ${row.id}`)
  await saveRegistration(tx, now, {
    id: enrolment.agentId,
    version: body.version,
    capabilities: body.capabilities,
    host: body.host ?? {},
    maxTasks: body.maxConcurrentTasks,
    config: { ...DEFAULT_AGENT_CONFIG, ...(row.environmentIds ? { environmentIds: row.environmentIds } : {}) },
  })
  return enrolment
}

async function tell(
  tx: Tx,
  now: Instant,
  id: string,
  tokenId: string,
  body: Registration,
  { ip, userAgent, id: requestId, traceId }: RequestFacts,
): Promise<void> {
  const actor = { kind: 'agent' as const, id, name: body.name, onBehalfOf: [] }
  const { name, version, capabilities, labels } = body
  await publish(tx, {
    type: 'agent.registered',
    resource: { kind: 'agent', id },
    actor,
    data: { name, version, capabilities },
    at: now,
  })
  await record(tx, {
    at: now,
    actor,
    verb: 'agent.register',
    resourceKind: 'agent',
    resourceId: id,
    outcome: 'ok',
    ip,
    userAgent,
    requestId,
    traceId,
    after: { name, version, capabilities, labels },
    metadata: { registrationId: tokenId },
  })
}
