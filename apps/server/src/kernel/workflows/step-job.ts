import { contextPointer, holdsSecretReference, type JobRequest, type Priority, type StepJob } from '../jobs/index.ts'
import type { Effect } from './state.ts'
import type { RunFacts } from './run-rows.ts'

type Submit = Extract<Effect, { kind: 'submit' }>

const PRIORITIES = ['interactive', 'batch', 'critical'] as const

/** jobs.md 21.4: as the run's input says, else BATCH. */
function priorityOf(input: Readonly<Record<string, unknown>>): Priority {
  const { priority } = input
  const word = typeof priority === 'string' ? priority.toLowerCase().replace(/^job_priority_/, '') : ''
  return PRIORITIES.find((each) => each === word) ?? 'batch'
}

/** The memory that a run's input names. */
export function namedMemory({ memory_id: named }: Readonly<Record<string, unknown>>): string | undefined {
  return typeof named === 'string' && named !== '' ? named : undefined
}

/** The memory of a run (jobs.md 8, chat): what its input names, else its own. */
export const memoryOf = (runId: string, input: Readonly<Record<string, unknown>>): string =>
  namedMemory(input) ?? `run:${runId}`

/** What the worker finds behind the context pointer: the bare input, with its item (jobs.md 21.4). */
function payload({ input, item, index }: Submit): unknown {
  const plain = typeof input === 'object' && input !== null && !Array.isArray(input)
  return index === undefined || !plain || 'item' in input ? input : { ...input, item }
}

/** The job of a step's attempt, as jobs.md 21.4 has it. */
export function stepJob(
  effect: Submit,
  run: RunFacts,
  input: Readonly<Record<string, unknown>>,
  stepIndex: number,
): StepJob {
  const { job, jobId, step, timeoutMs, index, item } = effect
  const { principal } = run
  const tenant = principal.tenantSlug
  const memoryId = memoryOf(run.id, input)
  const context = payload(effect)
  const secret = holdsSecretReference(context)
  const meta = job.meta ?? {}
  const labels: Record<string, string> = {
    workflow_id: run.workflowId,
    run_id: run.id,
    step_id: step,
    ...(job.adapterId === undefined ? {} : { worker_id: job.adapterId }),
    ...(run.dryRun ? { dry_run: 'true' } : {}),
    ...(secret ? { secrets_present: 'true' } : {}),
    ...job.labels,
  }
  const request: JobRequest = {
    topic: job.topic,
    priority: priorityOf(input),
    ...(job.adapterId === undefined ? {} : { adapterId: job.adapterId }),
    env: {
      workflow_id: run.workflowId,
      run_id: run.id,
      step_id: step,
      tenant_id: tenant,
      team_id: run.teamId,
      memory_id: memoryId,
      context_mode: 'raw',
      ...(run.dryRun ? { dry_run: 'true' } : {}),
      ...(index === undefined ? {} : { foreach_index: String(index), foreach_item: JSON.stringify(item ?? null) }),
    },
    labels,
    workflowId: run.workflowId,
    stepIndex,
    memoryId,
    ...(timeoutMs === undefined ? {} : { budget: { deadlineMs: timeoutMs } }),
    tenant,
    principalId: meta.actorId ?? principal.subject,
    contextPtr: contextPointer(jobId),
    meta: {
      actorId: meta.actorId ?? principal.subject,
      actorType: meta.actorType ?? (principal.kind === 'user' ? 'human' : 'service'),
      ...(meta.idempotencyKey === undefined ? {} : { idempotencyKey: meta.idempotencyKey }),
      ...(meta.packId === undefined ? {} : { packId: meta.packId }),
      ...(meta.capability === undefined ? {} : { capability: meta.capability }),
      riskTags: [...(meta.riskTags ?? []), ...(secret ? ['secrets'] : [])],
      requires: meta.requires ?? [],
      labels: meta.labels ?? {},
    },
  }
  return {
    jobId,
    traceId: run.id,
    request,
    context: JSON.stringify(context ?? {}),
    step: { runId: run.id, key: step },
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  }
}
