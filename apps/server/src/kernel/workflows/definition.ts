import type { JobMeta } from './plan.ts'

/** The step types of the jobs dialect (jobs.md 21.1). */
export const STEP_TYPES = [
  'llm',
  'worker',
  'http',
  'container',
  'script',
  'approval',
  'input',
  'condition',
  'switch',
  'parallel',
  'loop',
  'delay',
  'notify',
  'transform',
  'storage',
  'subworkflow',
] as const
export type StepType = (typeof STEP_TYPES)[number]

/** One thing that is wrong with a definition; `path` leads to it (`steps.build.depends_on[0]`). */
export interface Problem {
  readonly path: string
  readonly message: string
  readonly code: string
}

/** A workflow of the jobs dialect as it was taken in: fields that were absent, null or empty are undefined. */
export interface Definition {
  readonly id?: string
  readonly orgId?: string
  readonly teamId?: string
  readonly name?: string
  readonly description?: string
  readonly version?: string
  readonly timeoutSec?: number
  readonly config?: Readonly<Record<string, unknown>>
  readonly inputSchema?: Readonly<Record<string, unknown>>
  readonly parameters?: readonly unknown[]
  readonly steps: Readonly<Record<string, StepDefinition>>
}

export interface StepDefinition {
  readonly id: string
  readonly name?: string
  readonly type?: StepType
  readonly workerId?: string
  readonly topic?: string
  readonly dependsOn: readonly string[]
  readonly condition?: string
  readonly forEach?: string
  readonly maxParallel?: number
  readonly failFast?: boolean
  readonly input?: Readonly<Record<string, unknown>>
  readonly inputSchema?: Readonly<Record<string, unknown>>
  readonly inputSchemaId?: string
  readonly outputPath?: string
  readonly outputSchema?: Readonly<Record<string, unknown>>
  readonly outputSchemaId?: string
  readonly meta?: JobMeta
  readonly onError?: string
  readonly retry?: RetryDefinition
  readonly timeoutSec?: number
  readonly delaySec?: number
  /** RFC 3339. */
  readonly delayUntil?: string
  readonly routeLabels?: Readonly<Record<string, string>>
  readonly approval?: ApprovalDefinition
  readonly cases?: readonly SwitchCase[]
  readonly default?: string
  readonly maxIterations?: number
  readonly workflowId?: string
}

export interface RetryDefinition {
  readonly maxRetries?: number
  readonly initialBackoffSec?: number
  readonly maxBackoffSec?: number
  readonly multiplier?: number
}

export interface ApprovalDefinition {
  readonly required?: number
  readonly roles?: readonly string[]
  readonly separationOfDuties?: boolean
  readonly instructions?: string
  readonly onTimeout?: 'fail' | 'approve' | 'reject'
}

export interface SwitchCase {
  readonly name: string
  readonly when: string
  readonly steps: readonly string[]
}
