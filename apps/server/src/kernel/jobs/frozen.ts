import type { Logger } from 'pino'
import type { Clock } from '../clock/index.ts'
import { at, type Db, sql, type Statement, type Tx } from '../db/index.ts'
import type { TerminalState } from './jobs.ts'
import type { Claimed } from './queue.ts'

/** Jobs of frozen principals wait until then: for ever, but for their release. */
export const FROZEN_UNTIL = Date.UTC(9999, 11, 31)
const BATCH = 5000
/** What a removed user left behind has been parked by then. */
const REMEMBER_MS = 7 * 24 * 3_600_000

/** Keeps the jobs of frozen principals from running: their own, and those that others submitted on their behalf. */
export interface Frozen {
  /** Of these claims, those that must not run. */
  among<T extends { claimed: Claimed }>(entries: readonly T[]): Promise<T[]>
  /** Reads who is frozen; parks and cancels what they have, and lets go what belongs to nobody frozen any more. Repeatable. */
  refresh(): Promise<void>
}

interface FrozenHooks {
  end(
    tx: Tx,
    jobId: string,
    outcome: { state: Exclude<TerminalState, 'succeeded'>; code: string; message: string },
  ): Promise<boolean>
  /** There is work in many pools. */
  scan(): Promise<void>
}

interface Refreshed {
  tenantId: string
  frozen: readonly string[]
}

/** Whether a stored principal is one of these, or acts for one of these. */
const isOf = (frozen: readonly string[]): Statement =>
  sql`(pr.principal ->> 'id' = any(${[...frozen]}::text[]) or pr.principal -> 'onBehalfOf' ?| ${[...frozen]}::text[])`

export function openFrozen({ db, clock, log }: { db: Db; clock: Clock; log: Logger }, hooks: FrozenHooks): Frozen {
  type Known = ReadonlyMap<string, ReadonlySet<string>>
  let known: Known = new Map()
  /** What has been acted on; behind `known` while that goes on, or when it failed. Undefined before the first time. */
  let settled: Known | undefined
  let working: Promise<void> | undefined
  let again = false

  async function read(): Promise<Known> {
    const rows = await db.engine((tx) =>
      tx.many<{ tenantId: string; frozen: string[] }>(
        sql`select tenant_id as "tenantId", array_agg(id::text) as frozen from principals
             where state = 'frozen' and (deleted_at is null or deleted_at > ${at(clock.now() - REMEMBER_MS)}) group by tenant_id`,
      ),
    )
    return new Map(rows.map(({ tenantId, frozen }) => [tenantId, new Set(frozen)]))
  }

  async function refreshOnce(): Promise<void> {
    const before = settled
    // Known first: from now on nothing of theirs is sent on its way, however long the parking takes.
    const now = await read()
    known = now
    const stopped: Refreshed[] = []
    for (const [tenantId, frozen] of now) {
      const fresh = [...frozen].filter((id) => !before?.get(tenantId)?.has(id))
      if (fresh.length > 0) stopped.push({ tenantId, frozen: fresh })
    }
    const isThawed =
      !before || [...before].some(([tenantId, ids]) => [...ids].some((id) => !now.get(tenantId)?.has(id)))
    for (const each of stopped) {
      await park(each)
      await cancelRunning(each)
    }
    if (isThawed) await letGo()
    settled = now
  }

  async function park({ tenantId, frozen }: Refreshed): Promise<void> {
    for (;;) {
      const parked = await db.engine((tx) =>
        tx.run(sql`
          with due as (
            select q.tenant_id, q.id from job_queue q
              join jobs j on j.tenant_id = q.tenant_id and j.id = q.id
              join job_principals pr on pr.tenant_id = j.tenant_id and pr.hash = j.principal_hash
             where q.tenant_id = ${tenantId} and q.state in ('ready', 'waiting', 'undecided')
               and q.run_at is distinct from ${at(FROZEN_UNTIL)} and ${isOf(frozen)}
             order by q.tenant_id, q.id limit ${BATCH} for update of q skip locked)
          update job_queue q set state = case when q.state = 'undecided' then q.state else 'waiting' end, run_at = ${at(FROZEN_UNTIL)}
            from due d where d.tenant_id = q.tenant_id and d.id = q.id`),
      )
      if (parked < BATCH) return
    }
  }

  async function cancelRunning({ tenantId, frozen }: Refreshed): Promise<void> {
    const running = await db.engine((tx) =>
      tx.many<{ id: string }>(sql`
        select q.id from job_queue q
          join jobs j on j.tenant_id = q.tenant_id and j.id = q.id
          join job_principals pr on pr.tenant_id = j.tenant_id and pr.hash = j.principal_hash
         where q.tenant_id = ${tenantId} and q.state = 'leased' and ${isOf(frozen)} limit 10000`),
    )
    for (const { id } of running) {
      await db
        .tenant(tenantId, (tx) =>
          hooks.end(tx, id, {
            state: 'cancelled',
            code: 'principal_frozen',
            message: 'whoever it was done for was frozen',
          }),
        )
        .catch((error: unknown) => log.warn({ err: error, jobId: id }, 'A job of a frozen principal still runs'))
    }
  }

  /** What is parked and belongs to nobody frozen becomes ready again, or policy is asked again. */
  async function letGo(): Promise<void> {
    const { freed } = await db.engine((tx) =>
      tx.one<{ freed: number }>(sql`
        with parked as (
          select q.tenant_id, q.id, pr.principal from job_queue q
            join jobs j on j.tenant_id = q.tenant_id and j.id = q.id
            join job_principals pr on pr.tenant_id = j.tenant_id and pr.hash = j.principal_hash
           where q.state in ('waiting', 'undecided') and q.run_at = ${at(FROZEN_UNTIL)}
        ), free as (
          select p.tenant_id, p.id from parked p
           where not exists (
             select from principals f where f.tenant_id = p.tenant_id and f.state = 'frozen'
               and (f.id::text = p.principal ->> 'id' or p.principal -> 'onBehalfOf' ? f.id::text))
           order by 1, 2
        ), released as (
          update job_queue q set state = case when q.state = 'undecided' then q.state else 'ready' end,
              run_at = case when q.state = 'undecided' then to_timestamp(0) end
            from free f where f.tenant_id = q.tenant_id and f.id = q.id returning 1
        ) select count(*)::int as freed from released`),
    )
    if (freed > 0) await hooks.scan()
  }

  return {
    async among(entries) {
      const suspects = entries.filter(({ claimed }) => known.has(claimed.tenantId))
      if (suspects.length === 0) return []
      const found = new Set<string>()
      for (const tenantId of new Set(suspects.map(({ claimed }) => claimed.tenantId))) {
        const mine = suspects.filter(({ claimed }) => claimed.tenantId === tenantId).map(({ claimed }) => claimed.id)
        const rows = await db.engine((tx) =>
          tx.many<{ id: string }>(sql`
            select j.id from jobs j join job_principals pr on pr.tenant_id = j.tenant_id and pr.hash = j.principal_hash
             where j.tenant_id = ${tenantId} and j.id = any(${mine}::text[]) and ${isOf([...(known.get(tenantId) ?? [])])}`),
        )
        for (const { id } of rows) found.add(`${tenantId} ${id}`)
      }
      return suspects.filter(({ claimed }) => found.has(`${claimed.tenantId} ${claimed.id}`))
    },
    refresh() {
      if (working) {
        again = true
        return working
      }
      working = (async () => {
        do {
          again = false
          await refreshOnce()
        } while (again)
      })().finally(() => {
        working = undefined
      })
      return working
    },
  }
}
