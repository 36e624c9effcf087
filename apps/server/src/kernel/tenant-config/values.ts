import { Fault } from '@wheelhouse/contract'
import { type CompiledSchema, compileOwn, type SchemaProblem } from '../schemas/index.ts'

const MONTH_S = 2_678_400
const seconds = { type: 'integer', minimum: 0, maximum: MONTH_S }
const retries = { type: 'integer', minimum: 0, maximum: 1000 }
const strict = (properties: object, more: object = {}): object => ({
  type: 'object',
  additionalProperties: false,
  properties,
  ...more,
})
const map = (each: object, names: object = { minLength: 1, maxLength: 256 }): object => ({
  type: 'object',
  additionalProperties: each,
  propertyNames: names,
})
const texts = { type: 'array', maxItems: 1000, items: { type: 'string', maxLength: 256 } }

/** The pool of verbs and the marks that the queue uses are not names of pools. */
const poolName = { type: 'string', minLength: 1, maxLength: 128, pattern: '^(?!wh$)[A-Za-z0-9][A-Za-z0-9._:-]*$' }

/** jobs.md 17.3, strict. `topics` may become empty by the removal of a pack: then no topic has a pool. */
const POOLS = strict(
  {
    topics: map({ anyOf: [poolName, { type: 'array', minItems: 1, maxItems: 100, items: poolName }] }),
    pools: map(strict({ requires: texts }), poolName),
  },
  { required: ['topics'] },
)

/** jobs.md 17.5, strict; a workflow's bare number is its total time (24.2, fix). */
const TIMEOUTS = strict({
  topics: map(strict({ timeout_seconds: seconds, max_retries: retries })),
  workflows: map({
    anyOf: [seconds, strict({ child_timeout_seconds: seconds, total_timeout_seconds: seconds, max_retries: retries })],
  }),
  reconciler: strict({
    dispatch_timeout_seconds: seconds,
    running_timeout_seconds: seconds,
    scan_interval_seconds: seconds,
  }),
})

const MCP_LISTS = Object.fromEntries(
  ['servers', 'tools', 'resources', 'actions'].flatMap((what) => [
    [`allow_${what}`, texts],
    [`deny_${what}`, texts],
  ]),
)

/** jobs.md 20.3 step 6. What policy could not read would deny everything, so it is refused here. */
const SAFETY = {
  type: 'object',
  properties: {
    allowed_topics: texts,
    denied_topics: texts,
    mcp: { type: 'object', properties: MCP_LISTS },
  },
}

const count = { type: 'integer', minimum: 0, maximum: 1_000_000 }
const LIMITS = { type: 'object', properties: { max_concurrent_runs: count } }
const RATE_LIMITS = { type: 'object', properties: { concurrent_workflows: count } }

const EVERYWHERE: Readonly<Record<string, object>> = { safety: SAFETY, limits: LIMITS, rate_limits: RATE_LIMITS }
/** Keys that have a meaning in system/default alone (jobs.md 22). */
const SYSTEM_DEFAULT: Readonly<Record<string, object>> = { ...EVERYWHERE, pools: POOLS, timeouts: TIMEOUTS }

const ADVICE: Readonly<Record<string, string>> = {
  pools: 'write {topics: {"job.name": "pool" or ["pool", …]}, pools: {"pool": {requires: ["what it provides"]}}}',
  timeouts:
    'write {topics: {"job.name": {timeout_seconds, max_retries}}, workflows: {"id": {child_timeout_seconds, total_timeout_seconds, max_retries} or seconds}, reconciler: {running_timeout_seconds}}',
  safety: 'write {allowed_topics: [..], denied_topics: [..], mcp: {allow_tools: [..], deny_tools: [..], …}}',
  limits: 'write {max_concurrent_runs: a whole number}',
  rate_limits: 'write {concurrent_workflows: a whole number}',
}

const compiled = new Map<object, CompiledSchema>()

function checkerOf(schema: object): CompiledSchema {
  let known = compiled.get(schema)
  if (!known) compiled.set(schema, (known = compileOwn(schema)))
  return known
}

/** The branches of a choice say less than the choice itself. */
function shown(problems: readonly SchemaProblem[]): string {
  const [first] = problems
  const path = first?.path.split('/').slice(1).map(unescape).join('.') ?? ''
  return `${path === '' ? '' : `${path} `}${first?.message ?? 'is not valid'}`
}

const unescape = (part: string): string => part.replaceAll('~1', '/').replaceAll('~0', '~')

/**
 * Refuses values that the platform could not use, with what would be right (jobs.md 22, fix: a rejected value is reported to who
 * writes it). Keys without a meaning are free. Throws VAL_SCHEMA.
 */
export function checkConfig(scope: string, scopeId: string, data: Readonly<Record<string, unknown>>): void {
  const known = scope === 'system' && scopeId === 'default' ? SYSTEM_DEFAULT : scope === 'system' ? {} : EVERYWHERE
  for (const [key, schema] of Object.entries(known)) {
    const value = data[key]
    if (value === undefined) continue
    const problems = checkerOf(schema).problems(value)
    if (problems.length === 0) continue
    const message = `config key ${key}: ${shown(problems)}; ${ADVICE[key] ?? 'correct it'}`
    throw new Fault('VAL_SCHEMA', { key, problems }, { message })
  }
}
