import { approvals } from '@wheelhouse/contract/jobs/approvals'
import type { Instant } from '../../kernel/clock/index.ts'
import { at, sql, type Statement, type Tx } from '../../kernel/db/index.ts'
import { type Bound, serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { constraintsRecord } from '../../kernel/policy/index.ts'
import { jobRecord } from '../jobs/render.ts'
import { type DecisionBody, recordsOf } from '../jobs/tables.ts'
import { capped, micros } from '../moments.ts'
import { isYes } from '../yes.ts'

interface Row {
  refId: string
  hash: string
  snapshot: string
  ruleId: string
  reason: string
  required: number
  votes: number
  state: string
  requestedName: string
  allowSelf: boolean
  roles: string[]
  show: unknown
  createdAt: Instant
  expiresAt: Instant | null
  body: DecisionBody | null
}

/** Newest first; a page ends with all approvals of its last millisecond, so that the next begins behind it. */
function findApprovals(tx: Tx, limit: number, before: number | undefined, resolved: boolean): Promise<Row[]> {
  const where: Statement[] = [sql`a.kind = 'job'`]
  if (!resolved) where.push(sql`a.state = 'open'`)
  if (before !== undefined) where.push(sql`a.created_at < ${at(Math.ceil(before / 1000))}`)
  return tx.many<Row>(sql`
    select a.ref_id as "refId", a.hash, a.snapshot, a.rule_id as "ruleId", a.reason, a.required, a.state, a.requested_name as "requestedName",
      a.allow_self as "allowSelf", a.roles, a.show, a.created_at as "createdAt", a.expires_at as "expiresAt", d.body,
      (select count(*)::int from approval_votes v
        where v.tenant_id = a.tenant_id and v.approval_id = a.id and v.stage = a.stage and v.vote = 'approve') as votes
      from approvals a
      left join jobs j on j.tenant_id = a.tenant_id and j.id = a.ref_id
      left join decisions d on d.tenant_id = j.tenant_id and d.job_id = j.id and d.id = j.decision_id
     where ${sql.join(where, sql` and `)}
     order by a.created_at desc fetch first ${limit} rows with ties`)
}

/** jobs.md §9. */
export const routes = ({ jobs }: Kernel): Bound[] =>
  serve('jobs', approvals, {
    async listApprovals({ tx, query }) {
      const limit = capped(query.limit)
      const resolved = isYes(query.include_resolved)
      const cursor = query.cursor === undefined ? undefined : micros(query.cursor)
      const rows = await findApprovals(tx, limit, cursor, resolved)
      const records = new Map(
        (
          await recordsOf(
            tx,
            rows.map(({ refId }) => refId),
          )
        ).map((row) => [row.id, row]),
      )
      const last = rows.at(-1)
      return {
        items: rows.flatMap((row) => {
          const job = records.get(row.refId)
          if (!job) return []
          return [
            {
              job_id: row.refId,
              job: jobRecord(job),
              decision: 'REQUIRE_APPROVAL' as const,
              policy_snapshot: row.snapshot,
              policy_rule_id: row.ruleId,
              policy_reason: row.reason,
              constraints: row.body?.constraints ? constraintsRecord(row.body.constraints) : null,
              job_hash: row.hash,
              approval_required: true,
              approval_ref: row.refId,
              state: row.state,
              required: row.required,
              votes: row.votes,
              requested_by: row.requestedName,
              requested_at: row.createdAt * 1000,
              expires_at: row.expiresAt === null ? null : row.expiresAt * 1000,
              allow_self: row.allowSelf,
              roles: row.roles,
              show: row.show,
            },
          ]
        }),
        next_cursor: last && rows.length >= limit ? last.createdAt * 1000 : null,
      }
    },

    async approveJob({ tx, principal, params, body, audit }) {
      const { traceId } = await jobs.holds.approve(tx, principal, params.job_id, body)
      audit({ jobId: params.job_id, metadata: { reason: body.reason ?? '', note: body.note ?? '' } })
      return { job_id: params.job_id, trace_id: traceId }
    },

    async rejectJob({ tx, principal, params, body, audit }) {
      await jobs.holds.reject(tx, principal, params.job_id, body)
      audit({ jobId: params.job_id, metadata: { reason: body.reason ?? '', note: body.note ?? '' } })
      return { job_id: params.job_id }
    },
  })
