import { Fault } from '@wheelhouse/contract'
import { jobs } from '@wheelhouse/contract/jobs/jobs'
import type { Approvals } from '../../kernel/approvals/index.ts'
import type { Artifacts } from '../../kernel/artifacts/index.ts'
import { ids, type Instant } from '../../kernel/clock/index.ts'
import type { Tx } from '../../kernel/db/index.ts'
import { type Bound, serve } from '../../kernel/http/index.ts'
import { parsePointer, readValue, statesOf, stateWord } from '../../kernel/jobs/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { capped, micros, microsUpTo } from '../moments.ts'
import { requireOwnTenant } from '../tenants.ts'
import { type ApprovalFacts, decisionItem, jobDetail, jobRecord, parsed } from './render.ts'
import { remediated } from './remediation.ts'
import { digestOf, readSubmit } from './submission.ts'
import { type DetailRow, findDecisions, findJob, findJobs } from './tables.ts'

const KEY = /^[\x20-\x7e]{1,200}$/

/** jobs.md §5. */
export const routes = ({ clock, db, jobs: engine, approvals, artifacts }: Kernel): Bound[] =>
  serve('jobs', jobs, {
    async listJobs({ tx, principal, query }) {
      requireOwnTenant(principal, query.tenant)
      const limit = capped(query.limit)
      const states = query.state === undefined ? undefined : statesOf('jobs', query.state)
      // A state that nobody knows is a filter that nothing passes.
      if (states?.length === 0) return { items: [], next_cursor: null }
      const rows = await findJobs(
        tx,
        {
          ...(states === undefined ? {} : { states }),
          ...(query.topic === undefined ? {} : { topic: query.topic }),
          ...(query.team === undefined ? {} : { team: query.team }),
          ...(query.trace_id === undefined ? {} : { traceId: query.trace_id }),
          ...(query.cursor === undefined ? {} : { before: micros(query.cursor) }),
          ...(query.updated_after === undefined ? {} : { after: micros(query.updated_after) }),
          ...(query.updated_before === undefined ? {} : { upTo: microsUpTo(query.updated_before) }),
        },
        limit + 1,
      )
      const shown = rows.slice(0, limit)
      return { items: shown.map(jobRecord), next_cursor: rows.length > limit ? (shown.at(-1)?.us ?? null) : null }
    },

    async getJob({ tx, params, now }) {
      const row = await findJob(tx, params.id)
      if (!row) throw new Fault('JOB_NOT_FOUND')
      return jobDetail(row, await resultOf(tx, artifacts, row, now), await approvalOf(tx, approvals, row.id))
    },

    async listJobDecisions({ tx, params, query }) {
      const rows = await findDecisions(tx, params.id, capped(query.limit))
      return rows.map((row) => decisionItem(params.id, row))
    },

    async submitJob({ principal, body, request, now }) {
      const key = body.idempotency_key ?? request.header('idempotency-key') ?? request.header('x-idempotency-key')
      if (key !== undefined && key !== '' && !KEY.test(key))
        throw new Fault('VAL_PATTERN', {}, { message: 'idempotency key must be 1 to 200 printable ASCII characters' })
      const jobId = ids.next()
      const asked = key === undefined || key === '' ? undefined : key
      const { request: job, context } = readSubmit(principal, body, { jobId, now, key: asked })
      const submitted = await engine.submitBatched(principal, {
        jobId,
        request: job,
        context,
        ...(asked === undefined ? {} : { key: asked, digest: digestOf(body) }),
      })
      return { job_id: submitted.jobId, trace_id: submitted.traceId }
    },

    async cancelJob({ tx, principal, params, audit }) {
      const { state, changed } = await engine.cancel(tx, principal, params.id, 'cancelled via api')
      audit({ jobId: params.id })
      return {
        id: params.id,
        state: stateWord('jobs', state),
        ...(changed ? {} : { reason: 'job already terminal' }),
      }
    },

    async remediateJob({ principal, params, body, audit }) {
      const row = await db.tenant(principal.tenantId, (tx) => findJob(tx, params.id))
      if (!row) throw new Fault('JOB_NOT_FOUND')
      const jobId = ids.next()
      const request = remediated(row, jobId, body.remediation_id)
      const submitted = await engine.submitBatched(principal, {
        jobId,
        traceId: row.traceId,
        ownParent: true,
        request,
        context: row.context,
      })
      audit({ jobId: submitted.jobId, metadata: { remediationOf: row.id, at: clock.now() } })
      return { job_id: submitted.jobId, trace_id: submitted.traceId }
    },
  })

/** Results of ours are shown where they are JSON; what lies elsewhere is only pointed at. */
async function resultOf(tx: Tx, artifacts: Artifacts, row: DetailRow, now: Instant): Promise<unknown> {
  if (row.result !== null) return parsed(row.result)
  const pointer = row.resultPtr === null ? undefined : parsePointer(row.resultPtr)
  const value = await readValue(tx, `res:${row.id}`, now)
  if (!pointer) return value ? parsed(value.toString()) : null
  if (pointer.kind !== 'artifact') {
    const body = pointer.kind === 'result' ? await readValue(tx, pointer.key, now) : value
    return body ? parsed(body.toString()) : null
  }
  const artifact = await artifacts.find(tx, pointer.id)
  if (!artifact || artifact.sizeBytes > 1024 * 1024) return null
  const { content } = await artifacts.read(tx.tenantId, pointer.id)
  return parsed(content.toString())
}

async function approvalOf(tx: Tx, approvals: Approvals, jobId: string): Promise<ApprovalFacts | undefined> {
  const approval = await approvals.latest(tx, 'job', jobId)
  const vote = approval?.votes.at(-1)
  if (!approval || !vote) return undefined
  return {
    by: vote.principalName,
    role: vote.role,
    at: vote.at,
    reason: vote.reason,
    note: vote.note,
    snapshot: approval.snapshot,
    hash: approval.hash,
  }
}
