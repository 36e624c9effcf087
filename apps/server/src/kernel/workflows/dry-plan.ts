import { Fault } from '@wheelhouse/contract'
import type { Clock } from '../clock/index.ts'
import type { Tx } from '../db/index.ts'
import type { JobEngine } from '../jobs/index.ts'
import type { PolicyEngine } from '../policy/index.ts'
import type { Plan } from './plan.ts'
import type { RunRow } from './run-rows.ts'

interface DryParts {
  policy: PolicyEngine
  jobs: JobEngine
  clock: Clock
}

/** Records what a run would do; nothing is submitted, asked or waited for. */
export async function planDryRun(_tx: Tx, _parts: DryParts, _plan: Plan, _row: RunRow): Promise<void> {
  throw new Fault('SYS_UNAVAILABLE', { part: 'dry run' })
}
