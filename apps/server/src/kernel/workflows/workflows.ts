import { Fault } from '@wheelhouse/contract'
import type { Approval } from '../approvals/index.ts'
import { ids, pause } from '../clock/index.ts'
import { at, sql, type Tx } from '../db/index.ts'
import { calledName, type Principal } from '../identity/index.ts'
import { microseconds } from '../jobs/index.ts'
import { contentHash } from '../policy/index.ts'
import type { Schedule } from '../schedule/index.ts'
import { maxConcurrentRuns } from '../tenant-config/index.ts'
import { freshSteps } from './advance.ts'
import { openRunDriver, type RunnerParts } from './engine.ts'
import { planDryRun } from './dry-plan.ts'
import { TERMINAL } from './event-turn.ts'
import { heldOf } from './held.ts'
import { ancestorsOf } from './plan-ancestors.ts'
import { requireMemory } from './memory-reach.ts'
import type { Plan } from './plan.ts'
import { dropWaiting, findRun, insertRun, planOf, type RunRow, tellRun } from './run-rows.ts'
import type { StepRun } from './state.ts'
import { namedMemory } from './step-job.ts'
import { stepOf, topSteps } from './step-rows.ts'
import { inputProblem, newestPlan } from './sub-run.ts'
import { readReference, stepReference } from './step-approval.ts'
import { workflowVerbs } from './verbs.ts'
import { dropOldVersions } from './version-retention.ts'
import { worldFor } from './world-for.ts'
import type { Egress } from '../egress/index.ts'

export interface WorkflowsParts extends RunnerParts {
  egress: Egress
  schedule: Schedule
  /** How long runs are kept after their end: as long as their jobs. */
  keptMs: number
  /** How many of the newest versions of a workflow are kept at least. */
  keptVersions: number
}

export interface NewRun {
  workflowId: string
  input: Record<string, unknown>
  teamId?: string
  dryRun?: boolean
  /** Idempotency: the same key of the same workflow gives the first run again, for 7 days. */
  key?: string
}

export interface StepVote {
  approved: boolean
  reason?: string
  note?: string
  /** What a form asks for. */
  value?: unknown
}

/** Runs of workflows. The definitions are in definitions.ts. */
export interface Workflows {
  /**
   * Starts a run; its first steps have begun when this returns. In the order of jobs.md 8 with its fix: workflow, input, known key,
   * concurrency. Throws RES_NOT_FOUND, VAL_SCHEMA, RUN_LIMIT, PERM_DENIED for a memory that is not theirs to name.
   */
  startRun(principal: Principal, run: NewRun): Promise<{ runId: string; replayed: boolean }>
  /** A new run of the same workflow, from one of its steps or from the beginning (jobs.md 8, rerun). */
  rerun(
    principal: Principal,
    runId: string,
    options: { fromStep?: string; dryRun?: boolean; input?: Record<string, unknown> },
  ): Promise<{ runId: string }>
  /** Cancels a run; one that has ended stays as it is. False: no such run. */
  cancel(tenantId: string, workflowId: string | undefined, runId: string, reason: string): Promise<boolean>
  /** Votes for a waiting step and waits at most 2 s until the run has taken the decision in. */
  decide(principal: Principal, workflowId: string, runId: string, stepId: string, vote: StepVote): Promise<void>
  /** Removes a run with all that belongs to it; what it still does is cancelled. False: no such run. */
  remove(tx: Tx, runId: string): Promise<boolean>
  start(): void
  stop(): Promise<void>
}

const KEY_LIFE_MS = 7 * 24 * 3_600_000
const DECISION_WAIT_MS = 2000
const RETENTION_BATCH = 200

const bad = (message: string): Fault => new Fault('VAL_SCHEMA', {}, { message })

export async function openWorkflows(parts: WorkflowsParts): Promise<Workflows> {
  const { db, clock, jobs, approvals, schedule, tenantConfig, keptMs, keptVersions } = parts
  const driver = openRunDriver(parts)
  for (const verb of workflowVerbs(parts)) jobs.register(verb)

  /** A decision is told to the run; who decided need not wait for its lock. */
  approvals.onDecided('step', async (tx, approval: Approval, decided) => {
    if (decided.outcome === 'withdrawn') return
    const { runId, step } = readReference(approval.refId)
    if (decided.outcome === 'expired') {
      const row = await tx.maybe<{ attempts: number }>(
        sql`select attempts from run_steps where run_id = ${runId} and key = ${step}`,
      )
      await tellRun(tx, runId, { kind: 'timer', step, body: { purpose: 'timeout', attempt: row?.attempts ?? 1 } })
    } else {
      const by = decided.by?.name ?? ''
      await tellRun(tx, runId, { kind: 'decided', step, body: { approved: decided.outcome === 'approved', by } })
    }
    const { tenantId } = tx
    tx.afterCommit(() => driver.hint(tenantId, runId))
  })

  await schedule.add({
    name: 'retention runs',
    every: 600_000,
    async run(signal) {
      const before = at(clock.now() - keptMs)
      while (!signal.aborted) {
        const gone = await db.engine(async (tx) => {
          await tx.run(sql`delete from run_keys where expires_at <= ${at(clock.now())}`)
          return tx.run(sql`delete from runs where (tenant_id, id) in (
            select tenant_id, id from runs where completed_at < ${before} order by completed_at limit ${RETENTION_BATCH})`)
        })
        if (gone < RETENTION_BATCH) break
      }
      await dropOldVersions(db, clock.now(), keptVersions, signal)
    },
  })

  /** Runs of the tenant that have not ended; under a lock, so that two starts do not take the last place. */
  async function refuseTooMany(tx: Tx, most: number): Promise<void> {
    if (most <= 0) return
    await tx.run(sql`select pg_advisory_xact_lock(hashtextextended(${`run limit ${tx.tenantId}`}, 0))`)
    const { n } = await tx.one<{ n: number }>(sql`
      select count(*)::int as n from runs
       where status in ('pending', 'running', 'waiting', 'paused', 'cancelling') and parent_run_id is null`)
    if (n >= most) throw new Fault('RUN_LIMIT', { limit: most }, { retryAfterMs: 5000 })
  }

  async function limitFor(principal: Principal, workflowId: string, teamId: string): Promise<number> {
    return maxConcurrentRuns(await tenantConfig.effective(principal.tenantId, { workflowId, teamId }))
  }

  /** The plan with the total time that the tenant's configuration gives this workflow, where that is the shorter (jobs.md 17.5, fix). */
  async function bounded(tenantId: string, workflowId: string, plan: Plan): Promise<Plan> {
    const { timeouts } = await tenantConfig.routing(tenantId)
    const most = timeouts.workflows[workflowId]?.totalTimeoutMs ?? Infinity
    return most < (plan.timeoutMs ?? Infinity) ? { ...plan, timeoutMs: most } : plan
  }

  /** Records a run and lets it take its first turn, so that whoever started it finds it begun. */
  async function begin(
    tx: Tx,
    principal: Principal,
    plan: Plan,
    given: Partial<RunRow> & Pick<RunRow, 'workflowId' | 'revision' | 'input' | 'dryRun' | 'teamId'>,
    steps?: readonly StepRun[],
  ): Promise<string> {
    const memory = namedMemory(given.input)
    if (memory !== undefined) await requireMemory(tx, principal, memory)
    const id = ids.next()
    const now = clock.now()
    const dry: Record<string, string> = given.dryRun ? { dry_run: 'true' } : {}
    const row: RunRow = {
      context: {},
      output: null,
      error: null,
      principal,
      triggeredBy: calledName(principal),
      idempotencyKey: null,
      rerunOf: null,
      rerunStep: null,
      parentRunId: null,
      parentStep: null,
      rootRunId: null,
      depth: 0,
      startedAt: null,
      completedAt: null,
      ...given,
      id,
      status: 'pending',
      labels: { ...given.labels, ...dry },
      metadata: { ...given.metadata, ...dry },
      createdAt: now,
      updatedUs: microseconds(now),
    }
    if (given.dryRun) {
      await planDryRun(tx, jobs, plan, row, steps)
      return id
    }
    await insertRun(tx, row)
    await driver.beginIn(tx, heldOf(row, await bounded(tx.tenantId, row.workflowId, plan), steps ?? freshSteps(plan)))
    return id
  }

  /** Another start with this key: its run. Holds the key until the transaction ends. */
  async function knownRun(tx: Tx, workflowId: string, key: string): Promise<string | undefined> {
    await tx.run(
      sql`select pg_advisory_xact_lock(hashtextextended(${`run key ${tx.tenantId} ${workflowId} ${key}`}, 0))`,
    )
    const row = await tx.maybe<{ runId: string }>(sql`
      select run_id as "runId" from run_keys where workflow_id = ${workflowId} and key = ${key} and expires_at > ${at(clock.now())}`)
    return row?.runId
  }

  async function requireRun(tx: Tx, runId: string): Promise<RunRow> {
    const row = await findRun(tx, runId)
    if (!row) throw new Fault('RES_NOT_FOUND', {}, { message: 'run not found' })
    return row
  }

  const workflows: Workflows = {
    async startRun(principal, { workflowId, input, teamId = '', dryRun = false, key }) {
      const most = dryRun ? 0 : await limitFor(principal, workflowId, teamId)
      return db.tenant(principal.tenantId, async (tx) => {
        const found = await newestPlan(tx, workflowId)
        if (!found) throw new Fault('RES_NOT_FOUND', { workflowId }, { message: 'workflow not found' })
        const problem = inputProblem(found.plan, input)
        if (problem !== undefined) throw bad(`input schema validation failed: ${problem}`)
        if (key !== undefined) {
          const known = await knownRun(tx, workflowId, key)
          if (known !== undefined) return { runId: known, replayed: true }
        }
        await refuseTooMany(tx, most)
        const runId = await begin(tx, principal, found.plan, {
          workflowId,
          revision: found.revision,
          input,
          teamId,
          dryRun,
          ...(key === undefined ? {} : { idempotencyKey: key }),
        })
        if (key !== undefined)
          await tx.run(sql`
            insert into run_keys (tenant_id, workflow_id, key, run_id, expires_at)
            values (${tx.tenantId}, ${workflowId}, ${key}, ${runId}, ${at(clock.now() + KEY_LIFE_MS)})
            on conflict (tenant_id, workflow_id, key) do update set run_id = excluded.run_id, expires_at = excluded.expires_at`)
        return { runId, replayed: false }
      })
    },

    async rerun(principal, oldId, { fromStep, dryRun = false, input: edited }) {
      const before = await db.tenant(principal.tenantId, (tx) => requireRun(tx, oldId))
      const most = dryRun ? 0 : await limitFor(principal, before.workflowId, before.teamId)
      return db.tenant(principal.tenantId, async (tx) => {
        // As long as it is there, so is the version that it names.
        await tx.run(sql`select 1 from runs where id = ${oldId} for key share`)
        const old = await requireRun(tx, oldId)
        // Of a workflow that was removed the form that ran then runs again.
        const { plan, revision } = (await newestPlan(tx, old.workflowId)) ?? {
          plan: await planOf(tx, old.workflowId, old.revision),
          revision: old.revision,
        }
        const input = edited ?? old.input
        const problem = inputProblem(plan, input)
        if (problem !== undefined) throw bad(`input schema validation failed: ${problem}`)
        // Its steps stand as succeeded, approvals too, and none of them was executed.
        if (old.dryRun && fromStep !== undefined)
          throw bad('a dry run has executed nothing; rerun it from the beginning')
        const isSame =
          revision === old.revision && isSameFor(principal, old) && contentHash(input) === contentHash(old.input)
        const kept = fromStep === undefined ? undefined : await keptSteps(tx, plan, oldId, { fromStep, isSame })
        await refuseTooMany(tx, most)
        const { rerun_step: _step, dry_run: _dry, ...metadata } = old.metadata
        const { dry_run: _label, ...labels } = old.labels
        const row = {
          workflowId: old.workflowId,
          revision,
          input,
          dryRun,
          teamId: old.teamId,
          context: old.context,
          labels,
          metadata: { ...metadata, rerun_of: oldId, ...(fromStep === undefined ? {} : { rerun_step: fromStep }) },
          rerunOf: oldId,
          rerunStep: fromStep ?? null,
        }
        const steps = kept && freshSteps(plan).map((fresh) => kept.get(fresh.key) ?? fresh)
        return { runId: await begin(tx, principal, plan, row, steps) }
      })
    },

    async cancel(tenantId, workflowId, runId, reason) {
      const known = await db.tenant(tenantId, (tx) =>
        tx.maybe<{ workflowId: string; status: RunRow['status'] }>(
          sql`select workflow_id as "workflowId", status from runs where id = ${runId}`,
        ),
      )
      if (!known || (workflowId !== undefined && known.workflowId !== workflowId)) return false
      if (!TERMINAL.has(known.status))
        await driver.turn(tenantId, runId, { skip: false, events: [{ kind: 'cancel', reason }] })
      return true
    },

    async decide(principal, workflowId, runId, stepId, { approved, reason = '', note = '', value }) {
      const { tenantId } = principal
      const { row, plan } = await db.tenant(tenantId, async (tx) => {
        const found = await findRun(tx, runId)
        if (!found || found.workflowId !== workflowId) throw bad('step not found')
        return { row: found, plan: await planOf(tx, found.workflowId, found.revision) }
      })
      const reference = stepReference(row.id, stepId)
      const vote = async (): Promise<boolean> =>
        db.tenant(tenantId, async (tx) => {
          const step = await tx.maybe<{ nodeId: string }>(
            sql`select node_id as "nodeId" from run_steps where run_id = ${runId} and key = ${stepId}`,
          )
          const node = plan.nodes[step?.nodeId ?? '']
          if (!node) throw bad('step not found')
          const approval = await approvals.open(tx, 'step', reference)
          if (!approval) return false
          if (approved && node.action.kind === 'form') {
            const world = await worldFor(tx, plan, clock.now())
            const problem = node.inputSchema ? world.validate(node.inputSchema, value ?? {}) : undefined
            if (problem !== undefined) throw bad(`value does not fit: ${problem}`)
          }
          const after = await approvals.decide(tx, principal, approval, {
            vote: approved ? 'approve' : 'reject',
            reason,
            note,
          })
          if (after.state !== 'open' && value !== undefined)
            await tx.run(sql`
              update run_inbox set body = body || ${JSON.stringify({ value })}::jsonb
               where run_id = ${runId} and step_key = ${stepId} and kind = 'decided'`)
          return true
        })
      // It may be about to wait: what has happened is taken in first.
      if (!(await vote())) {
        await driver.turn(tenantId, runId, { skip: false })
        if (!(await vote())) throw bad('step not waiting')
      }
      await Promise.race([driver.turn(tenantId, runId, { skip: false }), pause(DECISION_WAIT_MS)])
    },

    async remove(tx, runId) {
      const turned = await driver.turnIn(tx, runId, {
        skip: false,
        events: [{ kind: 'cancel', reason: 'workflow run deleted' }],
      })
      if (!turned) return false
      await dropWaiting(tx, runId)
      return (await tx.run(sql`delete from runs where id = ${runId}`)) > 0
    },

    start: () => driver.start(),
    stop: () => driver.stop(),
  }
  return workflows
}

const isSameFor = (principal: Principal, { principal: before }: RunRow): boolean =>
  principal.id === before.id && JSON.stringify(principal.onBehalfOf) === JSON.stringify(before.onBehalfOf)

/**
 * The steps before the one to begin with, as they ended (jobs.md 8). Throws VAL_SCHEMA where one has not succeeded. What people agreed to
 * counts for the same workflow, input and starter alone (`isSame`): else they are asked again, and where what followed their word would be
 * kept, the rerun must begin with them.
 */
async function keptSteps(
  tx: Tx,
  plan: Plan,
  oldId: string,
  { fromStep, isSame }: { fromStep: string; isSame: boolean },
): Promise<Map<string, StepRun>> {
  if (!Object.hasOwn(plan.nodes, fromStep)) throw bad('step not found')
  const old = new Map((await topSteps(tx, oldId)).map((row) => [row.key, stepOf(row)]))
  const kept = new Map<string, StepRun>()
  for (const id of ancestorsOf(plan, fromStep)) {
    const step = old.get(id)
    if (!step || (step.status !== 'succeeded' && step.status !== 'skipped' && step.handled !== true))
      throw bad(`dependency ${id} not succeeded`)
    kept.set(id, step)
  }
  if (isSame) return kept
  const asked = [...kept.keys()].filter((id) => {
    const kind = plan.nodes[id]?.action.kind
    return (kind === 'approval' || kind === 'form') && kept.get(id)?.status === 'succeeded'
  })
  for (const id of asked) kept.delete(id)
  for (const id of kept.keys()) {
    const before = ancestorsOf(plan, id)
    const approval = asked.find((each) => before.has(each))
    if (approval !== undefined)
      throw bad(
        `what was agreed to at step ${approval} was for another input, starter or form of the workflow: begin from_step ${approval}`,
      )
  }
  return kept
}
