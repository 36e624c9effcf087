import { Fault } from '@wheelhouse/contract'
import type { Clock, Instant } from '../clock/index.ts'
import { at, type Db, jsonb, sql, type Statement, type Tx } from '../db/index.ts'
import type { Task } from '../schedule/index.ts'

export type LockMode = 'exclusive' | 'shared'

export interface Lock {
  resource: string
  mode: LockMode
  /** Owner → how often it holds the lock. */
  owners: Readonly<Record<string, number>>
  /** Fencing token: larger than that of every earlier holding of any lock. Joining or taking again keeps it. */
  token: number
  updatedAt: Instant
  expiresAt: Instant
}

export interface Take {
  resource: string
  /** Any name; who presents it holds the lock. */
  owner: string
  mode?: LockMode
  /** Of the whole lock; absent, zero or negative: 30 s. */
  ttlMs?: number
}

/**
 * Locks of one tenant (jobs.md 25 with its fixes). All run in the caller's transaction and are true from its commit on: whoever asks for the
 * same lock meanwhile waits for that commit, so a transaction that takes one is short. Expiry ends a lock for all its owners at once.
 */
export interface Locks {
  /** Takes a free lock, joins a shared one, or takes a held one again. The only owner of a shared one may make it exclusive. Throws RES_CONFLICT. */
  acquire(tx: Tx, take: Take): Promise<Lock>
  /** Gives one hold back; undefined when nobody holds it any more. Throws RES_CONFLICT when others hold it. */
  release(tx: Tx, held: Pick<Take, 'resource' | 'owner'>): Promise<Lock | undefined>
  /** Sets the time that is left, from now, for all owners. Throws RES_NOT_FOUND (nobody holds it) or RES_CONFLICT (others do). */
  renew(tx: Tx, held: Omit<Take, 'mode'>): Promise<Lock>
  /** The lock while it is held. */
  read(tx: Tx, resource: string): Promise<Lock | undefined>
}

const DEFAULT_TTL_MS = 30_000

/** Columns of a row as a `Lock`, for lists. */
export const lockColumns: Statement = sql`resource, mode, owners, token, updated_at as "updatedAt", expires_at as "expiresAt"`

const notHeld = (code: 'RES_CONFLICT' | 'RES_NOT_FOUND', resource: string): Fault =>
  new Fault(code, { resource }, { message: 'lock not held' })

const ttl = (asked: number | undefined): number => (asked !== undefined && asked > 0 ? asked : DEFAULT_TTL_MS)

/** Names of owners are anybody's: what every object has is no owner. */
const holdsOf = ({ owners }: Lock, owner: string): number | undefined =>
  Object.hasOwn(owners, owner) ? owners[owner] : undefined

const MAX_OWNERS = 1000
const MAX_LOCKS = 20_000

/** Locks of one tenant that nobody gives back stay until their time is over. */
async function refuseTooMany(tx: Tx): Promise<void> {
  const { n } = await tx.one<{ n: number }>(
    sql`select count(*)::int as n from (select 1 from locks limit ${MAX_LOCKS + 1}) l`,
  )
  if (n > MAX_LOCKS)
    throw new Fault(
      'RES_CONFLICT',
      { max: MAX_LOCKS },
      { message: `a tenant has at most ${MAX_LOCKS} locks; release some, or give them less time` },
    )
}

export function openLocks({ clock }: { clock: Clock }): Locks {
  /** The row, locked for this transaction; undefined when there is none or its time is over. */
  async function held(tx: Tx, resource: string, now: Instant): Promise<Lock | undefined> {
    const row = await tx.maybe<Lock>(sql`select ${lockColumns} from locks where resource = ${resource} for update`)
    return row && row.expiresAt > now ? row : undefined
  }

  const write = (tx: Tx, lock: Lock): Promise<Lock> =>
    tx.one<Lock>(sql`
      update locks set mode = ${lock.mode}, owners = ${jsonb(lock.owners)}, token = ${lock.token}, updated_at = ${at(lock.updatedAt)},
        expires_at = ${at(lock.expiresAt)}
      where resource = ${lock.resource} returning ${lockColumns}`)

  const newToken = async (tx: Tx): Promise<number> =>
    (await tx.one<{ token: number }>(sql`select nextval('lock_tokens') as token`)).token

  return {
    async acquire(tx, { resource, owner, mode = 'exclusive', ttlMs }) {
      const now = clock.now()
      const expiresAt = now + ttl(ttlMs)
      // A row that another transaction is about to make or to remove is waited for here.
      const made = await tx.maybe<Lock>(sql`
        insert into locks (tenant_id, resource, mode, owners, token, updated_at, expires_at)
        values (${tx.tenantId}, ${resource}, ${mode}, ${jsonb({ [owner]: 1 })}, nextval('lock_tokens'), ${at(now)}, ${at(expiresAt)})
        on conflict (tenant_id, resource) do update
          set mode = excluded.mode, owners = excluded.owners, token = excluded.token, updated_at = excluded.updated_at,
            expires_at = excluded.expires_at
          where locks.expires_at <= ${at(now)}
        returning ${lockColumns}`)
      if (made) {
        await refuseTooMany(tx)
        return made
      }
      const lock = await held(tx, resource, now)
      // It was released between the two statements.
      if (!lock) return this.acquire(tx, { resource, owner, mode, ...(ttlMs === undefined ? {} : { ttlMs }) })
      const mine = holdsOf(lock, owner) ?? 0
      const others = Object.keys(lock.owners).some((each) => each !== owner)
      const upgrades = lock.mode === 'shared' && mode === 'exclusive'
      if (lock.mode === 'exclusive' ? mine === 0 : upgrades && others)
        throw new Fault('RES_CONFLICT', { resource }, { message: 'lock unavailable' })
      if (mine === 0 && Object.keys(lock.owners).length >= MAX_OWNERS)
        throw new Fault(
          'RES_CONFLICT',
          { resource, max: MAX_OWNERS },
          { message: `at most ${MAX_OWNERS} owners share a lock` },
        )
      return write(tx, {
        ...lock,
        mode: upgrades ? 'exclusive' : lock.mode,
        owners: { ...lock.owners, [owner]: mine + 1 },
        token: upgrades ? await newToken(tx) : lock.token,
        updatedAt: now,
        expiresAt,
      })
    },

    async release(tx, { resource, owner }) {
      const now = clock.now()
      const lock = await held(tx, resource, now)
      if (!lock) return undefined
      const mine = holdsOf(lock, owner)
      const { [owner]: _mine, ...others } = lock.owners
      if (mine === undefined) throw notHeld('RES_CONFLICT', resource)
      const owners = mine > 1 ? { ...others, [owner]: mine - 1 } : others
      if (Object.keys(owners).length > 0) return write(tx, { ...lock, owners, updatedAt: now })
      await tx.run(sql`delete from locks where resource = ${resource}`)
      return undefined
    },

    async renew(tx, { resource, owner, ttlMs }) {
      const now = clock.now()
      const lock = await held(tx, resource, now)
      if (!lock) throw notHeld('RES_NOT_FOUND', resource)
      if (holdsOf(lock, owner) === undefined) throw notHeld('RES_CONFLICT', resource)
      return write(tx, { ...lock, updatedAt: now, expiresAt: now + ttl(ttlMs) })
    },

    read: (tx, resource) =>
      tx.maybe<Lock>(
        sql`select ${lockColumns} from locks where resource = ${resource} and expires_at > ${at(clock.now())}`,
      ),
  }
}

/** Removes locks whose time is over; they count as free before. */
export const lockTask = (db: Db, clock: Clock): Task => ({
  name: 'locks',
  every: 60_000,
  async run() {
    await db.engine((tx) =>
      tx.run(sql`
        delete from locks where ctid = any(array(
          select ctid from locks where expires_at < ${at(clock.now())} limit 5000 for update skip locked))`),
    )
  },
})
