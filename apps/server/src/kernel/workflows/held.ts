import { LRUCache } from 'lru-cache'
import type { Tx } from '../db/index.ts'
import type { Plan } from './plan.ts'
import { findRun, planOf, type RunFacts, type RunRow } from './run-rows.ts'
import type { RunState, StepRun } from './state.ts'
import { stepOf, topSteps } from './step-rows.ts'

/** A run in memory: what its rows say, for whoever holds the lock of its row. */
export interface Held {
  facts: RunFacts
  plan: Plan
  state: RunState
  /** It may have timers. */
  timed: boolean
  /** About how much memory it takes. */
  bytes: number
}

/** Large runs are read anew each time rather than kept. */
const MAX_BYTES = 64 * 1024 * 1024
const MAX_RUN_BYTES = 4 * 1024 * 1024

/**
 * Runs as this process wrote them last, by the number of that write. Taken out by who works on one and put back after the commit, so that
 * nobody finds a state that was never committed.
 */
export class HeldRuns {
  readonly #kept = new LRUCache<string, { writeNo: number; held: Held }>({
    maxSize: MAX_BYTES,
    sizeCalculation: ({ held }) => held.bytes,
  })

  async take(tx: Tx, runId: string, writeNo: number): Promise<Held> {
    const key = `${tx.tenantId} ${runId}`
    const kept = this.#kept.get(key)
    this.#kept.delete(key)
    return kept?.writeNo === writeNo ? kept.held : load(tx, runId)
  }

  put(tenantId: string, held: Held, writeNo: number): void {
    if (held.bytes <= MAX_RUN_BYTES) this.#kept.set(`${tenantId} ${held.state.id}`, { writeNo, held })
  }
}

async function load(tx: Tx, runId: string): Promise<Held> {
  const row = await findRun(tx, runId)
  if (!row) throw new Error(`Run ${runId} is locked and not there`)
  const rows = await topSteps(tx, runId)
  const bytes = rows.reduce((sum, { input, output }) => sum + sizeOf(input) + sizeOf(output), sizeOf(row.input))
  return { ...heldOf(row, await planOf(tx, row.workflowId, row.revision), rows.map(stepOf)), bytes, timed: true }
}

/** A run's rows as the engine holds them. */
export function heldOf(row: RunRow, plan: Plan, steps: readonly StepRun[]): Held {
  return {
    facts: row,
    plan,
    timed: false,
    bytes: 4096,
    state: {
      id: row.id,
      status: row.status,
      input: row.input,
      context: row.context,
      dryRun: row.dryRun,
      ...(row.output ? { output: row.output } : {}),
      ...(row.error ? { error: row.error } : {}),
      ...(row.startedAt === null ? {} : { startedAt: row.startedAt }),
      ...(row.completedAt === null ? {} : { completedAt: row.completedAt }),
      steps: new Map(steps.map((step) => [step.key, step])),
    },
  }
}

/** Characters of the value's JSON; 64 where there is none. */
export const sizeOf = (value: unknown): number =>
  64 + (value === undefined || value === null ? 0 : JSON.stringify(value).length)

/** A copy by which a change is told. */
export const copyOf = (step: StepRun): StepRun => ({
  ...step,
  ...(step.children ? { children: { ...step.children } } : {}),
})

/** Whether a step differs from its copy. Values are never changed in place, so they are compared by identity. */
export function differs(step: StepRun, copy: StepRun | undefined): boolean {
  if (!copy) return true
  const names = new Set([...Object.keys(step), ...Object.keys(copy)]) as Set<keyof StepRun>
  for (const name of names) {
    if (name === 'children' || name === 'edges') {
      if (JSON.stringify(step[name]) !== JSON.stringify(copy[name])) return true
    } else if (step[name] !== copy[name]) return true
  }
  return false
}
