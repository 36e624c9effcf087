import type { Tx } from '../db/index.ts'
import { publish } from '../events/index.ts'
import { actorOf } from '../identity/index.ts'
import type { JobEngine } from '../jobs/index.ts'
import { freshSteps } from './advance.ts'
import { dryRun } from './dry-run.ts'
import { heldOf } from './held.ts'
import type { Plan } from './plan.ts'
import { insertRun, type RunRow, writeRun } from './run-rows.ts'
import type { StepRun } from './state.ts'
import { stepJob } from './step-job.ts'
import { writeSteps } from './step-rows.ts'
import { worldFor } from './world-for.ts'

/**
 * Records a dry run: what the run would do and what policy says of each of its jobs, as its output. Nothing is submitted, asked or waited
 * for; the record is a run that has succeeded, each of its steps with its part of the plan.
 */
export async function planDryRun(
  tx: Tx,
  jobs: JobEngine,
  plan: Plan,
  row: RunRow,
  kept: readonly StepRun[] = freshSteps(plan),
): Promise<void> {
  const now = row.createdAt
  const { state } = heldOf(row, plan, kept)
  const order = Object.keys(plan.nodes)
  const { steps } = await dryRun(plan, state, await worldFor(tx, plan, now), async (submit) => {
    const job = stepJob(submit, row, row.input, order.indexOf(submit.step))
    const { decision, ruleId, reason } = await jobs.foresee(tx, row.principal, job)
    return { decision, ruleId, reason, approval: decision === 'REQUIRE_APPROVAL' }
  })
  await insertRun(tx, row)
  await writeSteps(
    tx,
    row.id,
    steps.map((step) => ({
      key: step.id,
      nodeId: step.id,
      status: 'succeeded',
      attempts: 0,
      output: step,
      startedAt: now,
      completedAt: now,
    })),
  )
  state.status = 'succeeded'
  state.startedAt = now
  state.completedAt = now
  state.output = { steps }
  await writeRun(tx, state, {
    writeNo: 2,
    nextSeq: 1,
    updatedUs: row.updatedUs,
    context: undefined,
    inbox: [],
    now,
    events: [
      {
        type: 'dry_run',
        message: 'nothing was executed: this is what the run would do',
        data: { steps: steps.length, denied: steps.filter(({ decision }) => decision === 'DENY').map(({ id }) => id) },
      },
      { type: 'run_status', status: 'succeeded' },
    ],
  })
  await publish(tx, {
    type: 'run.succeeded',
    resource: { kind: 'run', id: row.id },
    actor: actorOf(row.principal),
    correlationId: row.id,
    data: { workflowId: row.workflowId, revision: row.revision, status: 'succeeded', dryRun: true },
    at: now,
  })
}
