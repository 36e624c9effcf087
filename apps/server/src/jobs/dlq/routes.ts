import { Fault } from '@wheelhouse/contract'
import { dlq as endpoints } from '@wheelhouse/contract/jobs/dlq'
import { iso } from '../../kernel/clock/index.ts'
import { sql } from '../../kernel/db/index.ts'
import { type Bound, serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { capped, microsUpTo } from '../moments.ts'
import { withoutZeros } from '../zero-values.ts'
import { findLetters, type LetterRow } from './tables.ts'

const entry = ({ jobId, topic, status, reason, reasonCode, lastState, attempts, createdAt }: LetterRow) => ({
  job_id: jobId,
  ...withoutZeros({ topic, status, reason, reason_code: reasonCode, last_state: lastState, attempts }),
  created_at: iso(createdAt),
})

const filterOf = ({ reason_code: code, topic }: { reason_code?: string; topic?: string }) => ({
  ...(code === undefined || code === '' ? {} : { reasonCode: code }),
  ...(topic === undefined || topic === '' ? {} : { topic }),
})

/** jobs.md §16, §26. */
export const routes = ({ db, jobs }: Kernel): Bound[] =>
  serve('jobs', endpoints, {
    async listDeadLetters({ tx, query }) {
      const { rows } = await findLetters(tx, filterOf(query), capped(query.limit))
      return rows.map(entry)
    },

    async pageDeadLetters({ tx, query }) {
      const filter = { ...filterOf(query), ...(query.cursor === undefined ? {} : { upTo: microsUpTo(query.cursor) }) }
      const { rows, next } = await findLetters(tx, filter, capped(query.limit))
      return { items: rows.map(entry), next_cursor: next }
    },

    async deleteDeadLetter({ tx, params }) {
      await tx.run(sql`delete from dead_letters where job_id = ${params.job_id}`)
      return null
    },

    async retryDeadLetter({ principal, params, audit }) {
      const id = params.job_id
      const letter = await db.tenant(principal.tenantId, (tx) =>
        tx.maybe<{ topic: string; us: number }>(sql`select topic, us from dead_letters where job_id = ${id}`),
      )
      if (!letter) throw new Fault('RES_NOT_FOUND', { id }, { message: 'dlq entry not found' })
      if (letter.topic === '') throw new Fault('VAL_SCHEMA', { id }, { message: 'missing topic for retry' })
      const submitted = await jobs.submitAgain(principal, id, {
        as: 'retry',
        key: `dlq-retry:${id}:${letter.us}`,
        traceId: `dlq-retry-${id}`.slice(0, 128),
        labels: { retry: 'true', dlq_entry: id, retry_of_job: id },
      })
      // Only the entry that was retried: the clone may have failed by now, but under its own id.
      await db.tenant(principal.tenantId, (tx) =>
        tx.run(sql`delete from dead_letters where job_id = ${id} and us = ${letter.us}`),
      )
      audit({ resourceId: id, jobId: submitted.jobId, metadata: { retriedAs: submitted.jobId } })
      return { job_id: submitted.jobId }
    },
  })
