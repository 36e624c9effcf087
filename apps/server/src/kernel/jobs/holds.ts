import { Fault } from '@wheelhouse/contract'
import type { Approval, Decided } from '../approvals/index.ts'
import { mask } from '../audit/index.ts'
import { ids, type Instant } from '../clock/index.ts'
import { at, jsonb, sql, type Tx } from '../db/index.ts'
import { actorOf, type Principal } from '../identity/index.ts'
import { contentHash, type Decision, evaluate, type Facts } from '../policy/index.ts'
import type { Core } from './core.ts'
import { crashPoint } from '../crash/index.ts'
import { endOne, SYSTEM_ACTOR } from './ends.ts'
import { type JobRequest, policyRequest, rankOf, requestHash, workerRequest } from './request.ts'
import { microseconds } from './store.ts'

export interface JobVote {
  reason?: string
  note?: string
}

/** Holds of jobs: their approval, rejection and expiry (jobs.md 9, 20.8 with its fix). */
export interface Holds {
  /** Votes for a held job. With N > 1 it may stay held. Throws JOB_NOT_FOUND, RES_CONFLICT (`job not awaiting approval`, stale). */
  approve(tx: Tx, principal: Principal, jobId: string, vote: JobVote): Promise<{ traceId: string }>
  reject(tx: Tx, principal: Principal, jobId: string, vote: JobVote): Promise<void>
  /** Puts a job that must be asked about into the inbox, within its tenant's transaction. */
  hold(tx: Tx, job: HoldJob): Promise<void>
}

export interface HoldJob {
  id: string
  principal: Principal
  request: JobRequest
  context: string | null
  facts: Facts | null
  decision: Decision
}

interface HeldJob {
  trace_id: string
  state: string
  request: JobRequest
  context: string | null
  queue_state: string | null
  facts: Facts | null
  pool: string
  principal: Principal
}

const conflict = (message: string, code?: string): Fault =>
  new Fault('RES_CONFLICT', {}, { message, ...(code === undefined ? {} : { extra: { code } }) })

export function openHolds(core: Core): Holds {
  const { approvals, clock, policy } = core

  /** The job, with its queue row locked: before its approval, as everybody does. */
  async function lock(tx: Tx, jobId: string): Promise<HeldJob> {
    await tx.maybe(sql`select 1 from job_queue where id = ${jobId} for update`)
    const job = await tx.maybe<HeldJob>(sql`
      select j.trace_id, j.state, j.request, j.context, q.state as queue_state, q.pool, f.body as facts, pr.principal
        from jobs j
        join job_principals pr on pr.tenant_id = j.tenant_id and pr.hash = j.principal_hash
        left join job_queue q on q.tenant_id = j.tenant_id and q.id = j.id
        left join decisions d on d.tenant_id = j.tenant_id and d.job_id = j.id and d.id = j.decision_id
        left join facts f on f.tenant_id = d.tenant_id and f.hash = d.facts_hash
       where j.id = ${jobId}`)
    if (!job) throw new Fault('JOB_NOT_FOUND')
    if (job.state !== 'open' || job.queue_state !== 'held')
      throw conflict('job not awaiting approval', 'approval_not_actionable')
    return job
  }

  async function openApproval(tx: Tx, jobId: string): Promise<Approval> {
    const approval = await approvals.open(tx, 'job', jobId)
    if (!approval) throw conflict('job not awaiting approval', 'approval_already_resolved')
    return approval
  }

  /**
   * Policy as it is now has the last word (jobs.md 9, fix): a denial ends the job, an allowance frees it, other terms are bound anew.
   * Returns the approval that still needs votes, or undefined when it is settled already.
   */
  async function recheck(tx: Tx, jobId: string, job: HeldJob, approval: Approval): Promise<Approval | undefined> {
    const { snapshot } = await policy.fresh(tx.tenantId)
    if (!snapshot) throw new Fault('SYS_UNAVAILABLE', { part: 'policy' }, { message: 'safety kernel unavailable' })
    if (snapshot.id === approval.snapshot) return approval
    const decision = evaluate(snapshot, policyRequest(jobId, job.request, job.facts ?? undefined))
    await storeDecision(tx, jobId, decision, job.facts, approval.hash, clock.now())
    switch (decision.decision) {
      case 'DENY':
        await approvals.withdraw(tx, 'job', jobId)
        await endHeld(tx, jobId, 'safety_denied', decision.reason)
        return undefined
      case 'REQUIRE_APPROVAL': {
        const terms = decision.approval ?? { required: 1, allowSelf: null, roles: [] }
        return approvals.rebind(tx, approval, {
          snapshot: snapshot.id,
          ruleId: decision.ruleId,
          ruleDigest: decision.ruleDigest,
          reason: decision.reason,
          required: terms.required,
          roles: terms.roles,
          allowSelf: terms.allowSelf,
        })
      }
      default:
        await approvals.withdraw(tx, 'job', jobId)
        await free(tx, jobId, job.pool, {}, false)
        return undefined
    }
  }

  /** Ready again, at the end of its queue. */
  async function free(
    tx: Tx,
    jobId: string,
    pool: string,
    labels: Record<string, string>,
    keepApproval: boolean,
  ): Promise<void> {
    const now = clock.now()
    const { tenantId } = tx
    const job = await tx.maybe<{ trace_id: string; request: JobRequest; principal_id: string }>(sql`
      update jobs set request = jsonb_set(request, '{labels}', coalesce(request -> 'labels', '{}') || ${jsonb(labels)}::jsonb),
        updated_us = ${microseconds(now)}, approval_id = case when ${keepApproval} then approval_id end where id = ${jobId}
      returning trace_id, request, principal_id`)
    if (!job) throw new Fault('JOB_NOT_FOUND')
    const n = await core.fair.next({ tenantId, pool, rank: rankOf(job.request) }, job.principal_id)
    await tx.run(
      sql`update job_queue set state = 'ready', run_at = null, n = ${n} where id = ${jobId} and state = 'held'`,
    )
    if (keepApproval) await noteGranted(tx, jobId, now)
    tx.afterCommit(() => {
      crashPoint('approve:after-commit')
      core.signals.emit(tenantId, jobId, { kind: 'state', state: 'pending', at: now })
      // Once more, as the original republishes it (jobs.md 19.4).
      const value = workerRequest({ jobId, request: job.request, fence: 0, constraints: null, remainingMs: 0 })
      core.signals.show(tenantId, {
        traceId: job.trace_id,
        senderId: 'api-gateway',
        at: now,
        payload: { case: 'jobRequest', value },
      })
      core.hint(pool, tenantId)
      core.events.wake()
    })
  }

  async function endHeld(tx: Tx, jobId: string, code: string, message: string, by?: Principal): Promise<void> {
    const now = clock.now()
    const actor = by ? actorOf(by) : SYSTEM_ACTOR
    const ended = await endOne(tx, { id: jobId, state: 'denied', code, message, actor, now })
    if (!ended) return
    const verb = ended.verb === null ? undefined : core.verbs.find(ended.verb)
    if (verb) await verb.settle(tx, jobId, JSON.parse(ended.context ?? 'null'), { kind: 'denied', code, message })
    const { tenantId } = tx
    tx.afterCommit(() => {
      core.told(tenantId, ended.runId)
      core.signals.emit(tenantId, jobId, { kind: 'ended', end: { kind: 'denied', code, message }, at: now })
      core.events.wake()
    })
  }

  approvals.onDecided('job', async (tx: Tx, approval: Approval, decided: Decided) => {
    const jobId = approval.refId
    if (decided.outcome === 'approved') {
      const queue = await tx.maybe<{ pool: string }>(
        sql`select pool from job_queue where id = ${jobId} and state = 'held' for update`,
      )
      if (!queue) return
      await free(
        tx,
        jobId,
        queue.pool,
        {
          approval_granted: 'true',
          ...(decided.reason === '' ? {} : { approval_reason: decided.reason }),
          ...(decided.note === '' ? {} : { approval_note: decided.note }),
          'cordum.bus_msg_id': `approval:${approval.id}`,
        },
        true,
      )
    } else if (decided.outcome === 'rejected') {
      await endHeld(
        tx,
        jobId,
        'approval_rejected',
        decided.reason === '' ? 'approval rejected' : decided.reason,
        decided.by,
      )
    } else if (decided.outcome === 'expired') {
      await endHeld(tx, jobId, 'approval_timeout', 'nobody approved it in time')
    }
  })

  return {
    async approve(tx, principal, jobId, { reason = '', note = '' }) {
      const job = await lock(tx, jobId)
      const before = await openApproval(tx, jobId)
      if (requestHash(job.request, job.context) !== before.hash)
        throw conflict('job request changed; approval rejected', 'approval_stale_request')
      const approval = await recheck(tx, jobId, job, before)
      if (approval) await approvals.decide(tx, principal, approval, { vote: 'approve', reason, note })
      return { traceId: job.trace_id }
    },

    async reject(tx, principal, jobId, { reason = '', note = '' }) {
      await lock(tx, jobId)
      await approvals.decide(tx, principal, await openApproval(tx, jobId), { vote: 'reject', reason, note })
    },

    async hold(tx, { id, principal, request, context, facts, decision }) {
      const now = clock.now()
      await approvals.withdraw(tx, 'job', id)
      const { approval, hash } = await askForJob(core, tx, { id, principal, request, context, facts, decision })
      await storeDecision(tx, id, decision, facts, hash, now)
      await tx.run(
        sql`update jobs set approval_id = ${approval.id}, updated_us = ${microseconds(now)} where id = ${id}`,
      )
      await tx.run(sql`
        update job_queue set state = 'held', run_at = null, lease_owner = null, lease_until = null, expires_at = null, started_at = null,
          worker_id = null, account = null where id = ${id}`)
    },
  }
}

/** jobs.md 20.7: from its approval on, the job is allowed by the rule that held it, under the same constraints and hash. */
async function noteGranted(tx: Tx, jobId: string, now: Instant): Promise<void> {
  const id = ids.next()
  await tx.run(sql`
    insert into decisions (tenant_id, job_id, id, at, decision, reason, rule_id, snapshot, body, facts_hash, job_hash)
    select d.tenant_id, d.job_id, ${id}::uuid, ${at(now)}, 'ALLOW', 'approval granted', d.rule_id, d.snapshot, d.body, d.facts_hash, d.job_hash
      from jobs j join decisions d on d.tenant_id = j.tenant_id and d.job_id = j.id and d.id = j.decision_id
     where j.id = ${jobId}`)
  await tx.run(sql`update jobs set decision_id = ${id} where id = ${jobId}`)
}

/** Asks for the approval that a decision demands, and shows exactly what would be done; secrets by name are masked. */
export async function askForJob(
  { approvals, clock }: Pick<Core, 'approvals' | 'clock'>,
  tx: Tx,
  { id, principal, request, context, facts, decision }: HoldJob,
): Promise<{ approval: Approval; hash: string }> {
  const terms = decision.approval ?? { required: 1, allowSelf: null, roles: [], expiresMs: null }
  const hash = requestHash(request, context)
  const approval = await approvals.ask(tx, principal, {
    kind: 'job',
    refId: id,
    hash,
    snapshot: decision.snapshot,
    ruleId: decision.ruleId,
    ruleDigest: decision.ruleDigest,
    reason: decision.reason,
    required: terms.required,
    roles: terms.roles,
    allowSelf: terms.allowSelf,
    expiresAt: terms.expiresMs === null ? null : clock.now() + terms.expiresMs,
    show: {
      topic: request.topic,
      ...(request.verb === undefined ? {} : { verb: request.verb }),
      labels: request.labels ?? {},
      facts: facts ?? {},
      ...(context === null ? {} : { input: mask(JSON.parse(context)) }),
    },
  })
  return { approval, hash }
}

/** Appends policy's newest answer about a job and makes it the one that counts. */
export async function storeDecision(
  tx: Tx,
  jobId: string,
  decision: Decision,
  facts: Facts | null,
  hash: string | null,
  now: Instant,
): Promise<void> {
  const id = ids.next()
  const { source, ruleDigest, constraints, approval, remediations } = decision
  const factsHash = facts ? Buffer.from(contentHash(facts), 'hex') : null
  await tx.run(sql`
    insert into decisions (tenant_id, job_id, id, at, decision, reason, rule_id, snapshot, body, facts_hash, job_hash)
    values (${tx.tenantId}, ${jobId}, ${id}, ${at(now)}, ${decision.decision}, ${decision.reason}, ${decision.ruleId}, ${decision.snapshot},
      ${jsonb({ source, ruleDigest, constraints, approval, remediations })}, ${factsHash}, ${hash})`)
  await tx.run(sql`update jobs set decision_id = ${id} where id = ${jobId}`)
  await tx.run(sql`update job_queue set constraints = ${constraints ? jsonb(constraints) : null} where id = ${jobId}`)
}
