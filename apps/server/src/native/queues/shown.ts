import { iso } from '../../kernel/clock/index.ts'
import type { Halt, QueueLimits, TenantBrakes } from '../../kernel/jobs/index.ts'

export const halt = (given: Halt | undefined | null) =>
  given ? { at: iso(given.at), by: given.by, reason: given.reason } : null

export const limitsOf = (brakes: TenantBrakes, topic: string): QueueLimits =>
  brakes.limits.get(topic) ?? { maxDepth: null, maxAgeMs: null }
