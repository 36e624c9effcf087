import type { Kernel } from '../kernel/kernel.ts'
import type { Task } from '../kernel/schedule/index.ts'
import { rollUpMetrics } from './metrics/rollup.ts'
import { retainTelemetry } from './telemetry/retention.ts'
import { closeForgotten } from './terminals/tables.ts'

/** What the fleet repeats: roll-ups every five minutes, retention every ten (fleet.md §3.7). */
export const fleetTasks = ({ db, clock }: Kernel): Task[] => [
  { name: 'fleet roll-up', every: 5 * 60_000, run: () => rollUpMetrics(db, clock.now()) },
  { name: 'fleet retention', every: 10 * 60_000, run: () => retainTelemetry(db, clock.now()) },
  { name: 'fleet terminals', every: 5 * 60_000, run: async () => void (await closeForgotten(db, clock.now())) },
]
