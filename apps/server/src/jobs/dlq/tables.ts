import type { Instant } from '../../kernel/clock/index.ts'
import { type Statement, sql, type Tx } from '../../kernel/db/index.ts'

export interface LetterRow {
  jobId: string
  topic: string
  status: string
  reason: string
  reasonCode: string
  lastState: string
  attempts: number
  createdAt: Instant
  us: number
}

const columns = sql`job_id as "jobId", topic, status, reason, reason_code as "reasonCode", last_state as "lastState", attempts,
  created_at as "createdAt", us`

/**
 * Dead letters, newest first. `next` is the microsecond up to which the next page reaches. Entries of one microsecond are never torn apart
 * (two replicas may write in the same): a page is longer by those, so that nothing is skipped or repeated.
 */
export async function findLetters(
  tx: Tx,
  { reasonCode, topic, upTo }: { reasonCode?: string; topic?: string; upTo?: number },
  limit: number,
): Promise<{ rows: LetterRow[]; next: number | null }> {
  const where: Statement[] = [sql`true`]
  if (reasonCode !== undefined) where.push(sql`reason_code = ${reasonCode}`)
  if (topic !== undefined) where.push(sql`topic = ${topic}`)
  const all = sql.join(where, sql` and `)
  const bound = upTo === undefined ? sql`true` : sql`us <= ${upTo}`
  const found = await tx.many<LetterRow>(
    sql`select ${columns} from dead_letters where ${all} and ${bound} order by us desc, job_id limit ${limit + 1}`,
  )
  const rows = found.slice(0, limit)
  const last = rows.at(-1)
  if (found.length <= limit || !last) return { rows, next: null }
  const same = await tx.many<LetterRow>(
    sql`select ${columns} from dead_letters where ${all} and us = ${last.us} and job_id > ${last.jobId} order by job_id`,
  )
  return { rows: [...rows, ...same], next: last.us - 1 }
}
