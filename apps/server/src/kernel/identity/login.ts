import { Fault } from '@wheelhouse/contract'
import type { Clock, Instant } from '../clock/index.ts'
import { at, type Db, sql, type Tx } from '../db/index.ts'
import { checkPassword } from './passwords.ts'
import { openSession } from './sessions.ts'
import { normalised } from './users.ts'

/** jobs.md §2: 5 failures per name and address, 50 per name, within 15 minutes; cleared by success. */
const PER_NAME_AND_IP = 5
const PER_NAME = 50
const WINDOW_MS = 15 * 60_000

interface LoginRow {
  tenant_id: string
  slug: string
  id: string
  password_hash: string | null
  disabled: boolean
}

export interface LoggedIn {
  token: string
  sessionId: string
  expiresAt: Instant
  tenantId: string
  tenantSlug: string
  userId: string
}

export interface LoginAttempt {
  tenant: string
  username: string
  password: string
  ip: string
  userAgent?: string
  lifeMs?: number
  idleMs?: number
}

/**
 * Proves by password who a user is, named by user name or e-mail. Unknown names take as long as known ones and read the same.
 * Throws AUTH_LOGIN_FAILED, PERM_DISABLED, and RATE_LIMIT_EXCEEDED after too many failures, whether or not the name exists.
 */
export async function provePassword(
  db: Db,
  clock: Clock,
  attempt: Pick<LoginAttempt, 'tenant' | 'username' | 'password' | 'ip'>,
): Promise<{ tenantId: string; tenantSlug: string; userId: string }> {
  const now = clock.now()
  const name = normalised(attempt.username)
  const counters = [
    { key: `${attempt.tenant}/${name}/${attempt.ip}`, limit: PER_NAME_AND_IP },
    { key: `${attempt.tenant}/${name}`, limit: PER_NAME },
  ]
  const keys = counters.map((each) => each.key)
  const row = await db.auth(async (tx) => {
    await refuseWhenLocked(tx, now, counters)
    return tx.maybe<LoginRow>(sql`
      select u.tenant_id, t.slug, u.id, u.password_hash, (u.disabled or p.state = 'frozen') as disabled
        from users u join tenants t on t.id = u.tenant_id join principals p on p.tenant_id = u.tenant_id and p.id = u.id
       where (t.slug = ${attempt.tenant} or t.id::text = ${attempt.tenant}) and u.deleted_at is null
         and (u.username_norm = ${name} or u.email_norm = ${name})
       order by (u.username_norm = ${name}) desc limit 1`)
  })
  // Outside a transaction: the hash takes tens of milliseconds.
  const right = await checkPassword(attempt.password, row?.password_hash)
  if (!row || !right) {
    await db.auth((tx) => countFailure(tx, now, keys))
    throw new Fault('AUTH_LOGIN_FAILED')
  }
  if (row.disabled) throw new Fault('PERM_DISABLED', {}, { message: 'user is disabled' })
  await db.auth((tx) => tx.run(sql`delete from login_failures where key = any(${keys})`))
  return { tenantId: row.tenant_id, tenantSlug: row.slug, userId: row.id }
}

/** Logs a user in by password: `provePassword`, then a new session. */
export async function login(db: Db, clock: Clock, attempt: LoginAttempt): Promise<LoggedIn> {
  const user = await provePassword(db, clock, attempt)
  const now = clock.now()
  return db.auth(async (tx) => {
    await tx.run(
      sql`update users set last_login_at = ${at(now)} where tenant_id = ${user.tenantId} and id = ${user.userId}`,
    )
    const session = await openSession(tx, now, {
      tenantId: user.tenantId,
      principalId: user.userId,
      kind: 'session',
      ip: attempt.ip,
      ...(attempt.userAgent === undefined ? {} : { userAgent: attempt.userAgent }),
      ...(attempt.lifeMs === undefined ? {} : { lifeMs: attempt.lifeMs }),
      ...(attempt.idleMs === undefined ? {} : { idleMs: attempt.idleMs }),
    })
    return { ...user, token: session.token, sessionId: session.id, expiresAt: session.expiresAt }
  })
}

async function refuseWhenLocked(
  tx: Tx,
  now: Instant,
  counters: readonly { key: string; limit: number }[],
): Promise<void> {
  const rows = await tx.many<{ key: string; failures: number; window_ends_at: Instant }>(sql`
    select key, failures, window_ends_at from login_failures where key = any(${counters.map((each) => each.key)}) and window_ends_at > ${at(now)}`)
  const locked = rows.find((row) => row.failures >= (counters.find((each) => each.key === row.key)?.limit ?? Infinity))
  if (locked)
    throw new Fault(
      'RATE_LIMIT_EXCEEDED',
      {},
      { message: 'rate limit exceeded', retryAfterMs: locked.window_ends_at - now },
    )
}

async function countFailure(tx: Tx, now: Instant, keys: readonly string[]): Promise<void> {
  await tx.run(sql`
    insert into login_failures (key, failures, window_ends_at) select key, 1, ${at(now + WINDOW_MS)} from unnest(${[...keys].sort()}::text[]) as key
    on conflict (key) do update set
      failures = case when login_failures.window_ends_at > ${at(now)} then login_failures.failures + 1 else 1 end,
      window_ends_at = case when login_failures.window_ends_at > ${at(now)} then login_failures.window_ends_at else excluded.window_ends_at end`)
}
