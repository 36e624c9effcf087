import { Fault } from '@wheelhouse/contract'
import { type Clock, ids, type Instant } from '../clock/index.ts'
import { at, type Db, jsonb, sql, type Tx } from '../db/index.ts'
import { bindRole, createKey, newOpaqueToken, type Principal, secretHash } from '../identity/index.ts'
import { agentByExternalId, findAgent, freeName, insertAgent } from './agent.ts'

/** A join token is good for an hour (fleet: shown once in the console, used on the host at once). */
const JOIN_MS = 3_600_000
const PREFIX = 'whj_'

export interface Enrolment {
  agentId: string
  name: string
  /** The agent's own key, shown this once. */
  token: string
}

/**
 * Gives an agent a key of its own. Repeated for the same name it keeps the agent and its history, and ends its earlier keys, so that
 * a host that lost its key gets another. From then on nobody connects in its name with a shared key.
 */
export async function enrolAgent(
  tx: Tx,
  now: Instant,
  input: { name: string; labels?: Readonly<Record<string, string>> },
): Promise<Enrolment> {
  const known = await agentByExternalId(tx, input.name)
  const id = known?.id ?? ids.next()
  if (!known)
    await insertAgent(tx, now, { id, name: await freeName(tx, input.name), labels: input.labels, enrolled: true })
  else {
    await tx.run(sql`
      update agents set enrolled = true, labels = labels || ${jsonb(input.labels ?? {})}::jsonb, updated_at = ${at(now)}, row_version = row_version + 1
       where id = ${id}`)
    await tx.run(
      sql`update api_keys set revoked_at = ${at(now)}, updated_at = ${at(now)} where owner_id = ${id} and revoked_at is null`,
    )
  }
  await bindRole(tx, tx.tenantId, id, 'system-agent')
  const { token } = await createKey(tx, now, {
    tenantId: tx.tenantId,
    ownerId: id,
    name: `Agent ${input.name}`,
    kind: 'agent',
    roles: ['system-agent'],
  })
  const name = known?.name ?? (await findAgent(tx, id))?.name ?? input.name
  return { agentId: id, name, token }
}

export interface NewJoinToken {
  /** The name that the host will bear; else its host name. */
  name?: string
  labels?: Readonly<Record<string, string>>
  lifeMs?: number
}

/** Makes a one-time token with which one host joins within an hour. Only its hash is stored. */
export async function createJoinToken(
  tx: Tx,
  now: Instant,
  principal: Principal,
  input: NewJoinToken = {},
): Promise<{ id: string; token: string; expiresAt: Instant }> {
  const token = newOpaqueToken(PREFIX)
  const id = ids.next()
  const expiresAt = now + (input.lifeMs ?? JOIN_MS)
  await tx.run(sql`
    insert into agent_join_tokens (tenant_id, id, secret_hash, name, labels, created_by, created_at, expires_at)
    values (${tx.tenantId}, ${id}, ${secretHash(token)}, ${input.name ?? null}, ${jsonb(input.labels ?? {})}, ${principal.id}, ${at(now)}, ${at(expiresAt)})`)
  return { id, token, expiresAt }
}

/**
 * Exchanges a join token for the agent's own key, once. Throws AUTH_TOKEN_INVALID for an unknown or used one and AUTH_TOKEN_EXPIRED
 * for a late one. The host may propose a name only where the token names none.
 */
export async function redeemJoinToken(
  db: Db,
  clock: Clock,
  token: string,
  proposedName: string,
): Promise<Enrolment & { tenantId: string }> {
  const hash = secretHash(token)
  const found = await db.auth((tx) =>
    tx.maybe<{ tenant_id: string }>(sql`select tenant_id from agent_join_tokens where secret_hash = ${hash}`),
  )
  if (!found) throw new Fault('AUTH_TOKEN_INVALID')
  const now = clock.now()
  return db.tenant(found.tenant_id, async (tx) => {
    // The guard of the one use: of two hosts with the same token, one passes.
    const row = await tx.maybe<{
      id: string
      name: string | null
      labels: Record<string, string>
      expires_at: Instant
    }>(sql`
      update agent_join_tokens set used_at = ${at(now)} where secret_hash = ${hash} and used_at is null returning id, name, labels, expires_at`)
    if (!row) throw new Fault('AUTH_TOKEN_INVALID', undefined, { message: 'This join token has been used already' })
    if (row.expires_at <= now) throw new Fault('AUTH_TOKEN_EXPIRED')
    const name = row.name ?? (await nameForHost(tx, proposedName))
    const enrolment = await enrolAgent(tx, now, { name, labels: row.labels })
    await tx.run(sql`update agent_join_tokens set used_by = ${enrolment.agentId} where id = ${row.id}`)
    return { ...enrolment, tenantId: found.tenant_id }
  })
}

// A host must not take over another agent by proposing its name: one that has a key of its own keeps it.
async function nameForHost(tx: Tx, proposed: string): Promise<string> {
  const known = await agentByExternalId(tx, proposed)
  return known?.enrolled ? freeName(tx, proposed) : proposed
}
