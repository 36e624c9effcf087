import type { Instant } from '../../kernel/clock/index.ts'
import { at, type Db, sql, type Tx } from '../../kernel/db/index.ts'
import type { Feed } from '../../kernel/events/index.ts'
import type { Principal } from '../../kernel/identity/index.ts'
import { activeSessions } from '../overview/stats.ts'

export const SESSION_TOPIC = 'session_count'

/** A terminal stays bound to the person who opened it, whichever of their credentials they come back with. */
export const personBehind = (principal: Principal): string => principal.ownerId ?? principal.id

export interface SessionRow {
  id: string
  instanceId: string
  agentId: string | null
  ownerId: string
  status: 'PENDING' | 'ACTIVE' | 'CLOSED' | 'DISCONNECTED'
  openedAt: Instant | null
}

export const findSession = (tx: Tx, id: string): Promise<SessionRow | undefined> =>
  tx.maybe<SessionRow>(sql`
    select s.id, s.instance_id as "instanceId", i.agent_id as "agentId", s.owner_id as "ownerId", s.status, s.opened_at as "openedAt"
      from terminal_sessions s join instances i on i.tenant_id = s.tenant_id and i.id = s.instance_id
     where s.id::text = ${id}`)

export async function addSession(
  tx: Tx,
  now: Instant,
  session: { id: string; instanceId: string; principal: Principal; jobId: string },
): Promise<void> {
  await tx.run(sql`
    insert into terminal_sessions (tenant_id, id, instance_id, user_id, owner_id, status, started_at, seen_at, job_id)
    values (${tx.tenantId}, ${session.id}, ${session.instanceId}, ${session.principal.id}, ${personBehind(session.principal)}, 'PENDING',
            ${at(now)}, ${at(now)}, ${session.jobId})
    on conflict do nothing`)
}

/** Moves a session; a closed one stays closed. Consoles are told the number of open ones after the commit. */
export async function moveSession(
  tx: Tx,
  feed: Feed,
  now: Instant,
  id: string,
  to: 'ACTIVE' | 'CLOSED' | 'DISCONNECTED',
  opened = false,
): Promise<boolean> {
  const moved = await tx.run(sql`
    update terminal_sessions set status = ${to}, seen_at = ${at(now)}, ended_at = ${to === 'CLOSED' ? at(now) : null},
           opened_at = ${opened ? sql`coalesce(opened_at, ${at(now)})` : sql`opened_at`}
     where id::text = ${id} and status <> 'CLOSED'`)
  if (moved === 0) return false
  const active = await activeSessions(tx)
  const { tenantId } = tx
  tx.afterCommit(() => feed.publishLive(tenantId, SESSION_TOPIC, { active_sessions: active }))
  return true
}

/** An hour without a key ends a terminal (fleet.md §3.6); what a crash left open ends a little later. */
export const IDLE_MS = 3_600_000
const FORGOTTEN_MS = IDLE_MS + 10 * 60_000

/** Closes sessions at which nobody was attached for longer than a terminal lives. */
export const closeForgotten = (db: Db, now: Instant): Promise<number> =>
  db.engine((tx) =>
    tx.run(sql`
      update terminal_sessions set status = 'CLOSED', ended_at = ${at(now)}
       where status <> 'CLOSED' and seen_at < ${at(now - FORGOTTEN_MS)}`),
  )
