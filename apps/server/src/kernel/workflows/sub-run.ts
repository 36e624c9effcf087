import { Fault } from '@wheelhouse/contract'
import type { Instant } from '../clock/index.ts'
import { sql, type Tx } from '../db/index.ts'
import type { Principal } from '../identity/index.ts'
import { microseconds } from '../jobs/index.ts'
import { compileSchema, describeProblems } from '../schemas/index.ts'
import { freshSteps } from './advance.ts'
import type { Held } from './held.ts'
import { requireMemory } from './memory-reach.ts'
import type { Plan } from './plan.ts'
import { insertRun, planOf, type RunFacts, type RunRow, tellRun } from './run-rows.ts'
import type { Effect } from './state.ts'
import { namedMemory } from './step-job.ts'
import { writeSteps } from './step-rows.ts'

const MAX_DEPTH = 10
/** Of all depths together: children that are runs with children of their own multiply. */
const MAX_SUB_RUNS = 50_000

const rootOf = (runId: string, { rootRunId }: RunFacts): string => rootRunId ?? runId

/** How many sub-runs the tree of a run may still begin. */
export async function roomFor(tx: Tx, { facts, state }: Held): Promise<number> {
  const { n } = await tx.one<{ n: number }>(sql`
    select count(*)::int as n from (select 1 from runs where root_run_id = ${rootOf(state.id, facts)} limit ${MAX_SUB_RUNS}) r`)
  return MAX_SUB_RUNS - n
}

/** A workflow as it was saved last. */
export async function newestPlan(tx: Tx, workflowId: string): Promise<{ revision: number; plan: Plan } | undefined> {
  const found = await tx.maybe<{ revision: number }>(sql`select revision from workflows where id = ${workflowId}`)
  return found && { revision: found.revision, plan: await planOf(tx, workflowId, found.revision) }
}

/** Why an input does not fit a workflow (jobs.md 8), or undefined when it does. */
export function inputProblem(plan: Plan, input: unknown): string | undefined {
  if (plan.inputSchema === undefined || plan.inputSchema === null) return undefined
  const problems = compileSchema(plan.inputSchema).problems(input)
  return problems.length === 0 ? undefined : describeProblems(problems)
}

/** A run and its steps are recorded; it begins with its first turn. */
async function recordRun(tx: Tx, plan: Plan, row: RunRow): Promise<void> {
  await insertRun(tx, row)
  await writeSteps(tx, row.id, freshSteps(plan))
}

/** Records a run that is a step of another, in the name of its starter as they may act now. Returns why it cannot be. */
export async function startSubRun(
  tx: Tx,
  { facts, state }: Held,
  principal: Principal,
  { step, runId, workflowId, input }: Extract<Effect, { kind: 'start-run' }>,
  now: Instant,
  room: number,
): Promise<string | undefined> {
  if (room <= 0) return `a run has at most ${MAX_SUB_RUNS} sub-runs, those of its sub-runs counted`
  if (facts.depth >= MAX_DEPTH) return `sub-workflows are nested more than ${MAX_DEPTH} deep`
  const found = await newestPlan(tx, workflowId)
  if (!found) return `workflow ${workflowId} not found`
  const given = typeof input === 'object' && input !== null && !Array.isArray(input) ? { ...input } : { value: input }
  const problem = inputProblem(found.plan, given)
  if (problem !== undefined) return `input schema validation failed: ${problem}`
  const memory = namedMemory(given)
  if (memory !== undefined) {
    const refused = await requireMemory(tx, principal, memory).then(
      () => undefined,
      (error: unknown) => {
        if (error instanceof Fault && error.status < 500) return error.message
        throw error
      },
    )
    if (refused !== undefined) return refused
  }
  await recordRun(tx, found.plan, {
    id: runId,
    workflowId,
    revision: found.revision,
    status: 'pending',
    input: given as Record<string, unknown>,
    context: {},
    output: null,
    error: null,
    dryRun: false,
    principal: facts.principal,
    triggeredBy: facts.triggeredBy,
    teamId: facts.teamId,
    labels: facts.labels,
    metadata: { parent_run_id: state.id, parent_step: step },
    idempotencyKey: null,
    rerunOf: null,
    rerunStep: null,
    parentRunId: state.id,
    parentStep: step,
    rootRunId: rootOf(state.id, facts),
    depth: facts.depth + 1,
    createdAt: now,
    startedAt: null,
    completedAt: null,
    updatedUs: microseconds(now),
  })
  await tellRun(tx, runId, { kind: 'start' })
  return undefined
}
