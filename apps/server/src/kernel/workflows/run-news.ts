import type { Instant } from '../clock/index.ts'
import type { Tx } from '../db/index.ts'
import { type Feed, publish } from '../events/index.ts'
import { actorOf } from '../identity/index.ts'
import { runEnded } from './event-turn.ts'
import type { Held } from './held.ts'
import { tellRun } from './run-rows.ts'
import type { RunStatus, StepRun } from './state.ts'

/** Under which name the feed carries what changed of a run. */
export const RUN_TOPIC = 'run.changed'

export interface RunChange {
  runId: string
  workflowId: string
  status: RunStatus
  at: Instant
  steps: Pick<StepRun, 'key' | 'status' | 'attempts' | 'children'>[]
}

/** Of a turn that changed more, the rest is read from the run. */
const MOST_SHOWN = 100

const TYPES = {
  succeeded: 'run.succeeded',
  failed: 'run.failed',
  timed_out: 'run.timed_out',
  cancelled: 'run.cancelled',
  waiting: 'run.waiting',
  pending: undefined,
  running: undefined,
  paused: undefined,
  cancelling: undefined,
} as const satisfies Record<RunStatus, string | undefined>

/** A new status as events for the world; a run that is another's step tells that one of its end. */
export async function tellStatus(tx: Tx, { facts, state }: Held, before: RunStatus, now: Instant): Promise<void> {
  const type = TYPES[state.status]
  const data = {
    workflowId: facts.workflowId,
    revision: facts.revision,
    status: state.status,
    ...(facts.parentRunId === null ? {} : { parentRunId: facts.parentRunId }),
    ...(state.error ? { error: state.error.message.slice(0, 2000).toWellFormed() } : {}),
  }
  for (const each of [...(before === 'pending' ? ['run.started' as const] : []), ...(type ? [type] : [])])
    await publish(tx, {
      type: each,
      resource: { kind: 'run', id: state.id },
      actor: actorOf(facts.principal),
      correlationId: state.id,
      data,
      at: now,
    })
  if (!runEnded(state) || facts.parentRunId === null || facts.parentStep === null) return
  await tellRun(tx, facts.parentRunId, {
    kind: 'run-ended',
    step: facts.parentStep,
    body: {
      runId: state.id,
      status: state.status,
      ...(state.output === undefined ? {} : { output: state.output }),
      ...(state.error === undefined ? {} : { error: state.error }),
    },
  })
}

/** Whoever watches the run sees what changed; after the commit. */
export function showChange(
  feed: Feed,
  tenantId: string,
  { facts, state }: Held,
  steps: readonly StepRun[],
  now: Instant,
): void {
  feed.publishLive(tenantId, RUN_TOPIC, {
    runId: state.id,
    workflowId: facts.workflowId,
    status: state.status,
    at: now,
    steps: steps
      .slice(0, MOST_SHOWN)
      .map(({ key, status, attempts, children }) => ({ key, status, attempts, ...(children ? { children } : {}) })),
  } satisfies RunChange)
}
