import { checkDefinition } from './check-definition.ts'
import { STEP_TYPES } from './definition.ts'
import type { Definition, Problem, StepDefinition, SwitchCase } from './definition.ts'
import { Fields, isRecord } from './definition-fields.ts'

export const MAX_STEPS = 500
const YEAR_SEC = 365 * 24 * 3600
/** No brackets (children are `<step>[<index>]`) and no `@` (jobs are `<run>:<step>@<attempt>`, at most 128 characters). */
const STEP_ID = /^[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,79}$/
const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/

/**
 * A definition of the jobs dialect, checked (jobs.md 7 and 21, with their FIX). Never throws: with problems, the definition holds what could
 * be read and must not be compiled. Unknown fields are ignored.
 */
export function parseDefinition(input: unknown): { definition: Definition; problems: Problem[] } {
  const problems: Problem[] = []
  if (!isRecord(input)) {
    problems.push({ path: '', message: 'must be an object', code: 'WF_FIELD_INVALID' })
    return { definition: { steps: {} }, problems }
  }
  const fields = new Fields(input, '', problems)
  const given = Object.entries(fields.object('steps') ?? {})
  if (given.length > MAX_STEPS) {
    problems.push({ path: 'steps', message: `must have at most ${MAX_STEPS} steps`, code: 'WF_LIMIT_EXCEEDED' })
  }
  const steps = given.slice(0, MAX_STEPS).flatMap(([id, value]) => {
    const path = `steps.${id}`
    if (!STEP_ID.test(id) || id === '__proto__') {
      const message = 'a step id has 1 to 80 letters, digits and any of _ . : / -, and begins with a letter, digit or _'
      problems.push({ path, message, code: 'WF_STEP_ID_INVALID' })
      return []
    }
    if (isRecord(value)) return [[id, stepOf(id, new Fields(value, path, problems))] as const]
    problems.push({ path, message: 'must be an object', code: 'WF_FIELD_INVALID' })
    return []
  })
  const definition: Definition = present({
    id: fields.text('id', 128),
    orgId: fields.text('org_id', 128),
    teamId: fields.text('team_id', 128),
    name: fields.text('name', 256),
    description: fields.text('description', 16_384),
    version: fields.text('version', 128),
    timeoutSec: fields.number('timeout_sec', 0, YEAR_SEC),
    config: fields.object('config'),
    inputSchema: fields.object('input_schema'),
    parameters: fields.list('parameters', 1000),
    steps: Object.fromEntries(steps),
  })
  checkDefinition(definition, new Set(given.map(([id]) => id)), problems)
  return { definition, problems }
}

function stepOf(id: string, fields: Fields): StepDefinition {
  const until = fields.text('delay_until', 64)
  if (until !== undefined && (!RFC_3339.test(until) || Number.isNaN(Date.parse(until)))) {
    fields.wrong('delay_until', 'must be a time such as 2026-03-01T09:00:00Z (RFC 3339)')
  }
  const meta = fields.within('meta')
  const retry = fields.within('retry')
  const approval = fields.within('approval')
  return present({
    id,
    name: fields.text('name', 256),
    type: fields.oneOf('type', STEP_TYPES),
    workerId: fields.text('worker_id', 256),
    topic: fields.text('topic', 256),
    dependsOn: [...new Set(fields.texts('depends_on', MAX_STEPS))],
    condition: fields.text('condition', 8192),
    forEach: fields.text('for_each', 8192),
    maxParallel: fields.whole('max_parallel', 0, 10_000),
    failFast: fields.flag('fail_fast'),
    input: fields.object('input'),
    inputSchema: fields.object('input_schema'),
    inputSchemaId: fields.text('input_schema_id', 256),
    outputPath: fields.text('output_path', 256),
    outputSchema: fields.object('output_schema'),
    outputSchemaId: fields.text('output_schema_id', 256),
    meta:
      meta &&
      present({
        actorId: meta.text('actor_id', 256),
        actorType: meta.oneOf('actor_type', ['human', 'service']),
        idempotencyKey: meta.text('idempotency_key', 256),
        packId: meta.text('pack_id', 256),
        capability: meta.text('capability', 256),
        riskTags: meta.texts('risk_tags', 64),
        requires: meta.texts('requires', 64),
        labels: meta.textMap('labels'),
      }),
    onError: fields.text('on_error', 128),
    retry:
      retry &&
      present({
        maxRetries: retry.whole('max_retries', 0, 1000),
        initialBackoffSec: retry.number('initial_backoff_sec', 0, YEAR_SEC),
        maxBackoffSec: retry.number('max_backoff_sec', 0, YEAR_SEC),
        multiplier: retry.number('multiplier', 0, 1000),
      }),
    timeoutSec: fields.number('timeout_sec', 0, YEAR_SEC),
    delaySec: fields.number('delay_sec', 0, YEAR_SEC),
    delayUntil: until,
    routeLabels: fields.textMap('route_labels'),
    approval:
      approval &&
      present({
        required: approval.whole('required', 1, 100),
        roles: approval.texts('roles', 64),
        separationOfDuties: approval.flag('separation_of_duties'),
        instructions: approval.text('instructions', 16_384),
        onTimeout: approval.oneOf('on_timeout', ['fail', 'approve', 'reject']),
      }),
    cases: fields.list('cases', 256) && casesOf(fields),
    default: fields.text('default', 256),
    maxIterations: fields.whole('max_iterations', 1, 10_000),
    workflowId: fields.text('workflow_id', 128),
  })
}

function casesOf(fields: Fields): SwitchCase[] {
  return fields.each('cases', 256).map((each) => ({
    name: each.text('name', 256) ?? each.wrong('name', 'is missing') ?? '',
    when: each.text('when', 8192) ?? each.wrong('when', 'is missing') ?? '',
    steps: each.texts('steps', MAX_STEPS) ?? [],
  }))
}

type Present<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>
}
/** Without the members that are undefined. */
function present<T extends object>(value: T): Present<T> {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as Present<T>
}
