export {
  isTerminal,
  type Jobs,
  type JobSignal,
  type JobState,
  type OutputChunk,
  type Settled,
  type SubmitOptions,
  type Submitted,
  type TerminalState,
} from './jobs.ts'
export type { Ended, Facts, RiskTag, Run, Verb } from './verb.ts'
export { type JobEngine, openJobs } from './engine.ts'
export { FROZEN_UNTIL } from './frozen.ts'
export type { JobsOptions } from './core.ts'
export { contextPointer, holdsSecretReference, type JobRequest, policyRequest, type Priority } from './request.ts'
export { jobState, type QueueState, statesOf, stateWord, type SurfaceWords } from './state.ts'
export type { NewJob } from './prepare.ts'
export type { StepJob } from './submission.ts'
export { freeSlots, type Worker } from './workers.ts'
export type { WorkerFacts } from './worker-facts.ts'
export { routeOf } from './pools.ts'
export { obstacles } from './obstacles.ts'
export { jobRetention } from './retention.ts'
export { bulkColumns, type BulkRow } from './bulk.ts'
export type { BulkFilter, BulkVerb } from './bulk-selection.ts'
export type { Halt, QueueLimits, TenantBrakes } from './brakes.ts'
export { parsePointer, type PointerKind, readValue, writeValue } from './values.ts'
export { microseconds } from './store.ts'
export { publicKeyOf } from './worker-keys.ts'
export { openRedisPointers, type RedisPointers, type RedisValue } from './redis-pointers.ts'
