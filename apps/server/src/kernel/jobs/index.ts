export {
  isTerminal,
  type Jobs,
  type JobSignal,
  type JobState,
  type OutputChunk,
  type Settled,
  type SubmitOptions,
  type Submitted,
  TERMINAL_STATES,
  type TerminalState,
} from './jobs.ts'
export type { Ended, Facts, RiskTag, Run, Verb } from './verb.ts'
