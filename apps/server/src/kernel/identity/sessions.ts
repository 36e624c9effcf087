import { randomBytes } from 'node:crypto'
import type { Principal } from './principal.ts'
import { type Clock, ids, type Instant } from '../clock/index.ts'
import { at, type Db, sql, type Tx } from '../db/index.ts'
import { newOpaqueToken, secretHash } from './tokens.ts'

/** Life of a session unless the installation says otherwise: 24 h, idle 8 h (decisions D8). */
export const SESSION_MS = 24 * 3_600_000
export const IDLE_MS = 8 * 3_600_000
/** A ticket opens one socket within 30 s (decisions D8). */
export const TICKET_MS = 30_000

export interface NewSession {
  tenantId: string
  principalId: string
  kind: 'session' | 'user-token' | 'cli'
  groups?: readonly string[]
  ip?: string
  userAgent?: string
  lifeMs?: number
  idleMs?: number
}

/** Opens a session; the token is shown once and stored as its hash. Tokens of sessions begin with `session-` (jobs.md §2). */
export async function openSession(
  tx: Tx,
  now: Instant,
  input: NewSession,
): Promise<{ token: string; id: string; expiresAt: Instant }> {
  const token = newOpaqueToken(input.kind === 'user-token' ? 'wh_token_' : 'session-')
  const id = ids.next()
  const expiresAt = now + (input.lifeMs ?? SESSION_MS)
  await tx.run(sql`
    insert into sessions (tenant_id, id, principal_id, token_hash, kind, groups, ip, user_agent, created_at, expires_at, idle_ms, last_seen_at)
    values (${input.tenantId}, ${id}, ${input.principalId}, ${secretHash(token)}, ${input.kind}, ${[...(input.groups ?? [])]},
            ${input.ip ?? null}, ${input.userAgent?.slice(0, 512) ?? null}, ${at(now)}, ${at(expiresAt)}, ${input.idleMs ?? IDLE_MS}, ${at(now)})`)
  return { token, id, expiresAt }
}

/** Ends the session behind a token; nothing happens when there is none. */
export const closeSession = (db: Db, token: string): Promise<number> =>
  db.auth((tx) => tx.run(sql`delete from sessions where token_hash = ${secretHash(token)}`))

/** Ends all sessions of a principal: after a change of password or rights. */
export const closeSessionsOf = (tx: Tx, tenantId: string, principalId: string): Promise<number> =>
  tx.run(sql`delete from sessions where tenant_id = ${tenantId} and principal_id = ${principalId}`)

/** A single-use ticket for one upgrade, bound to the principal and to a class of paths. Stored hashed. */
export async function issueTicket(
  db: Db,
  clock: Clock,
  principal: Principal,
  pathClass: string,
): Promise<{ ticket: string; expiresInS: number }> {
  // fleet.md §2, WebSocket Tickets: 64 hex digits.
  const ticket = randomBytes(32).toString('hex')
  const now = clock.now()
  await db.auth((tx) =>
    tx.run(sql`
      insert into tickets (tenant_id, id, token_hash, principal, path_class, expires_at)
      values (${principal.tenantId}, ${ids.next()}, ${secretHash(ticket)}, ${JSON.stringify(principal)}, ${pathClass}, ${at(now + TICKET_MS)})`),
  )
  return { ticket, expiresInS: TICKET_MS / 1000 }
}

/** Takes a ticket, once. Undefined when it is unknown, used, late, or for another class of paths. */
export async function redeemTicket(
  db: Db,
  clock: Clock,
  ticket: string,
  pathClass: string,
): Promise<Principal | undefined> {
  const row = await db.auth((tx) =>
    tx.maybe<{ principal: Principal; path_class: string; expires_at: Instant }>(sql`
      delete from tickets where token_hash = ${secretHash(ticket)} returning principal, path_class, expires_at`),
  )
  if (!row || row.expires_at <= clock.now()) return undefined
  if (row.path_class !== '*' && row.path_class !== pathClass) return undefined
  return { ...row.principal, credential: 'ticket' }
}
