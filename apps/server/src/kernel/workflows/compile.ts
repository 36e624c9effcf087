import type { Definition, StepDefinition } from './definition.ts'
import { isBuiltIn, workflowIdOf } from './check-definition.ts'
import { MAX_STEPS } from './parse-definition.ts'
import type { Action, ApprovalTemplate, JobTemplate, Plan, PlanNode, RetryTemplate, SchemaReference } from './plan.ts'

/** Topics of the verbs that do what a step type says (jobs.md 21.1, FIX). */
const HTTP_TOPIC = 'job.wh.workflow.http'
const STORAGE_TOPIC = 'job.wh.workflow.storage'
const DAY_MS = 24 * 3600 * 1000

/** The plan of a definition that parseDefinition found no problem in. Same definition, same plan. */
export function compileDefinition(definition: Definition & { readonly id: string }): Plan {
  const steps = Object.values(definition.steps)
  const built = (type: string) => steps.filter((step) => step.type === type && isBuiltIn(step))
  const chosen = new Map<string, Map<string, Set<string>>>()
  for (const step of built('switch')) {
    for (const { name, steps: targets } of step.cases ?? []) {
      for (const target of targets) {
        const switches = getOrSet(chosen, target, () => new Map<string, Set<string>>())
        getOrSet(switches, step.id, () => new Set<string>()).add(name)
      }
    }
  }
  const edges = steps.flatMap(({ id, dependsOn }) =>
    [...new Set([...dependsOn, ...(chosen.get(id)?.keys() ?? [])])].map((from) => ({
      from,
      to: id,
      on: 'success' as const,
    })),
  )
  const forks = built('parallel').filter((step) => (step.maxParallel ?? 0) > 0)
  const targets = new Set(steps.map(({ onError }) => onError))
  const follow = new Set(edges.map(({ to }) => to))
  return {
    dialect: 'jobs',
    workflowId: definition.id,
    nodes: Object.fromEntries(
      steps.map((step) => [
        step.id,
        {
          ...nodeOf(step, definition.id),
          groups: forks
            .filter((fork) => step.dependsOn.includes(fork.id))
            .map((fork) => ({ id: fork.id, limit: fork.maxParallel as number })),
          chosenBy: [...(chosen.get(step.id) ?? [])].map(([node, branches]) => ({ node, branches: [...branches] })),
        },
      ]),
    ),
    edges,
    entry: steps.filter(({ id }) => !follow.has(id) && !targets.has(id)).map(({ id }) => id),
    finally: [],
    failure: 'cancel',
    ...(definition.timeoutSec ? { timeoutMs: definition.timeoutSec * 1000 } : {}),
    maxParallel: MAX_STEPS,
    ...(definition.inputSchema ? { inputSchema: definition.inputSchema } : {}),
  }
}

function getOrSet<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key)
  if (value === undefined) map.set(key, (value = make()))
  return value
}

function nodeOf(step: StepDefinition, workflowId: string): Omit<PlanNode, 'groups' | 'chosenBy'> {
  const action = actionOf(step, workflowId)
  const loop = isBuiltIn(step) && step.type === 'loop'
  // The condition of these is what they do, not whether they do it.
  const consumed = action.kind === 'condition' || loop || (action.kind === 'switch' && action.value !== undefined)
  const inputSchema = schemaOf(step.inputSchema, step.inputSchemaId)
  const outputSchema = schemaOf(step.outputSchema, step.outputSchemaId)
  return {
    id: step.id,
    name: step.name ?? step.id,
    action,
    ...(step.input ? { input: step.input } : {}),
    ...(inputSchema ? { inputSchema } : {}),
    ...(outputSchema ? { outputSchema } : {}),
    ...(step.outputPath ? { outputPath: step.outputPath } : {}),
    ...(step.condition !== undefined && !consumed ? { condition: step.condition } : {}),
    skipCountsAs: 'success',
    join: 'all',
    onError: onErrorOf(step.onError),
    retry: retryOf(step),
    ...(step.timeoutSec && action.kind !== 'delay' ? { timeoutMs: step.timeoutSec * 1000 } : {}),
    ...(step.forEach === undefined
      ? {}
      : { each: { items: step.forEach, maxParallel: step.maxParallel ?? 0, failFast: step.failFast ?? true } }),
    ...(loop ? { loop: { while: step.condition as string, maxIterations: step.maxIterations ?? 100 } } : {}),
  }
}

function actionOf(step: StepDefinition, workflowId: string): Action {
  const job = (topic: string): Action => ({ kind: 'job', job: jobOf(step, topic) })
  const own = () => job(step.topic ?? `job.workflow.${workflowId}`)
  if (!isBuiltIn(step)) return own()
  switch (step.type) {
    case 'approval':
      return { kind: 'approval', approval: approvalOf(step) }
    case 'input':
      return step.input ? { kind: 'transform' } : { kind: 'form', approval: approvalOf(step) }
    case 'condition':
      return { kind: 'condition', expression: step.condition as string }
    case 'switch':
      return {
        kind: 'switch',
        cases: (step.cases ?? []).map(({ name, when }) => ({ name, when })),
        ...(step.default === undefined ? {} : { otherwise: step.default }),
        ...(step.cases?.length || step.condition === undefined ? {} : { value: step.condition }),
      }
    case 'delay':
      if (step.delaySec) return { kind: 'delay', ms: step.delaySec * 1000 }
      if (step.delayUntil) return { kind: 'delay', until: Date.parse(step.delayUntil) }
      return { kind: 'delay', ms: (step.timeoutSec ?? 0) * 1000 }
    case 'notify':
      return { kind: 'notify' }
    case 'transform':
      return { kind: 'transform' }
    case 'parallel':
      return { kind: 'fork' }
    case 'loop':
      return !step.topic && workflowIdOf(step) ? { kind: 'run', workflowId: workflowIdOf(step) as string } : own()
    case 'subworkflow':
      return { kind: 'run', workflowId: workflowIdOf(step) as string }
    case 'http':
      return job(HTTP_TOPIC)
    case 'storage':
      return job(STORAGE_TOPIC)
    default:
      return own()
  }
}

function jobOf({ workerId, routeLabels, meta }: StepDefinition, topic: string): JobTemplate {
  return {
    topic,
    ...(workerId ? { adapterId: workerId } : {}),
    ...(routeLabels ? { labels: routeLabels } : {}),
    ...(meta ? { meta } : {}),
  }
}

const approvalOf = ({ approval }: StepDefinition): ApprovalTemplate => ({
  required: approval?.required ?? 1,
  roles: approval?.roles ?? [],
  allowSelf: !(approval?.separationOfDuties ?? false),
  ...(approval?.instructions ? { instructions: approval.instructions } : {}),
  onTimeout: approval?.onTimeout ?? 'fail',
})

const onErrorOf = (onError: string | undefined): PlanNode['onError'] =>
  onError === undefined || onError === 'fail'
    ? { kind: 'fail' }
    : onError === 'continue'
      ? { kind: 'continue' }
      : { kind: 'goto', to: onError }

/** jobs.md 21.5: the first wait is 1 s, a multiplier of at most 1 counts as 2; no wait is longer than a day. */
const retryOf = ({ retry }: StepDefinition): RetryTemplate => ({
  maxRetries: retry?.maxRetries ?? 0,
  firstMs: (retry?.initialBackoffSec || 1) * 1000,
  maxMs: Math.min((retry?.maxBackoffSec || Infinity) * 1000, DAY_MS),
  multiplier: (retry?.multiplier ?? 0) > 1 ? (retry?.multiplier as number) : 2,
})

const schemaOf = (inline: unknown, id: string | undefined): SchemaReference | undefined =>
  inline !== undefined ? { inline } : id === undefined ? undefined : { id }
