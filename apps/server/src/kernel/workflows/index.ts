export {
  checkWorkflow,
  deleteWorkflow,
  findVersion,
  findWorkflow,
  listWorkflows,
  saveWorkflow,
  shownWorkflow,
  wasSaved,
} from './definitions.ts'
export type { Problem } from './definition.ts'
export { TERMINAL } from './event-turn.ts'
export { layersOf } from './plan-ancestors.ts'
export type { Plan } from './plan.ts'
export {
  countRuns,
  eventColumns,
  type EventRow,
  listRuns,
  readEvents,
  readRun,
  runHead,
  shownEvent,
} from './queries.ts'
export { findRun, type RunRow } from './run-rows.ts'
export { runWord, shownChild, shownCounts, stepWord } from './shown.ts'
export { requireMemory } from './memory-reach.ts'
export { memoryOf } from './step-job.ts'
export { stepColumns, stepOf, type StepRow } from './step-rows.ts'
export { RUN_TOPIC, type RunChange } from './run-news.ts'
export { whyRun } from './why.ts'
export { openWorkflows, type Workflows } from './workflows.ts'
