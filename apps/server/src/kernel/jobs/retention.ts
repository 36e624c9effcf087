import type { Clock } from '../clock/index.ts'
import { type Db, sql, type Tx } from '../db/index.ts'
import type { Task } from '../schedule/index.ts'

const BATCH = 5000
const EVERY_MS = 600_000

interface Keep {
  jobsMs: number
  deadLettersMs: number
}

/** How long each tenant keeps what: the installation's times, or the tenant's own (`settings.retention`). */
const keeping = (db: Db, all: Keep): Promise<({ tenantId: string } & Keep)[]> =>
  db.engine((tx) =>
    tx.many(sql`
      select id as "tenantId", coalesce((settings #>> '{retention,jobsMs}')::bigint, ${all.jobsMs}) as "jobsMs",
        coalesce((settings #>> '{retention,deadLettersMs}')::bigint, ${all.deadLettersMs}) as "deadLettersMs"
      from tenants`),
  )

/** One batch of ended jobs with all that belongs to them, in one transaction. Returns how many. */
async function dropJobs(tx: Tx, tenantId: string, beforeUs: number): Promise<number> {
  // The last change of a job that has ended is its end.
  const rows = await tx.many<{ id: string }>(sql`
    select id from jobs where tenant_id = ${tenantId} and updated_us < ${beforeUs} and state <> 'open'
     order by updated_us limit ${BATCH} for update skip locked`)
  if (rows.length === 0) return 0
  const ids = rows.map(({ id }) => id)
  for (const table of ['job_attempts', 'job_output', 'decisions', 'dead_letters'])
    await tx.run(sql`delete from ${sql.table(table)} where tenant_id = ${tenantId} and job_id = any(${ids}::text[])`)
  const keys = ids.flatMap((id) => [`ctx:${id}`, `res:${id}`])
  await tx.run(sql`delete from job_values where tenant_id = ${tenantId} and key = any(${keys}::text[])`)
  await tx.run(sql`
    delete from approvals where tenant_id = ${tenantId} and kind = 'job' and ref_id = any(${ids}::text[]) and state <> 'open'`)
  await tx.run(sql`delete from jobs where tenant_id = ${tenantId} and id = any(${ids}::text[])`)
  return rows.length
}

/** Jobs with attempts, decisions, output, context and results go together, a time after their end; so do dead letters (decisions D10). */
export const jobRetention = (db: Db, clock: Clock, keep: Keep): Task => ({
  name: 'retention jobs',
  every: EVERY_MS,
  async run(signal) {
    for (const { tenantId, jobsMs, deadLettersMs } of await keeping(db, keep)) {
      const all = async (batch: (tx: Tx) => Promise<number>): Promise<void> => {
        while (!signal.aborted && (await db.engine(batch)) === BATCH) continue
      }
      const jobsBefore = (clock.now() - jobsMs) * 1000
      const lettersBefore = (clock.now() - deadLettersMs) * 1000
      await all((tx) => dropJobs(tx, tenantId, jobsBefore))
      await all((tx) =>
        tx.run(sql`
          delete from dead_letters where ctid = any(array(
            select ctid from dead_letters where tenant_id = ${tenantId} and us < ${lettersBefore} limit ${BATCH}))`),
      )
      await all((tx) =>
        tx.run(sql`
          delete from bulk_operations where ctid = any(array(
            select ctid from bulk_operations where tenant_id = ${tenantId} and state <> 'running'
               and created_at < ${new Date(clock.now() - jobsMs)} limit ${BATCH}))`),
      )
    }
  },
})
