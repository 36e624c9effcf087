import { describe, expect, test } from 'vitest'
import { compileDefinition } from './compile.ts'
import type { Plan } from './plan.ts'
import { parseDefinition } from './parse-definition.ts'

const problems = (steps: Record<string, unknown>) =>
  parseDefinition({ steps }).problems.map(({ path, code }) => `${path} ${code}`)

function planOf(steps: Record<string, unknown>, rest: Record<string, unknown> = {}): Plan {
  const parsed = parseDefinition({ ...rest, steps })
  expect(parsed.problems).toEqual([])
  return compileDefinition({ ...parsed.definition, id: 'wf' })
}

describe('a definition is refused with every problem', () => {
  test('of its fields', () => {
    const found = parseDefinition({
      timeout_sec: '5',
      input_schema: [],
      steps: {
        'bad id': {},
        a: { type: 'weird', depends_on: 'b', input: 'x', max_parallel: -1, timeout_sec: -1 },
        b: {
          retry: { max_retries: 1.5 },
          approval: { on_timeout: 'wait' },
          delay_until: 'tomorrow',
          route_labels: { a: 1 },
        },
        c: 7,
        d: { type: 'switch', cases: [{ when: '1' }] },
      },
    })
    expect(found.problems.map(({ path }) => path).toSorted()).toEqual([
      'input_schema',
      'steps.a.depends_on',
      'steps.a.input',
      'steps.a.max_parallel',
      'steps.a.timeout_sec',
      'steps.a.type',
      'steps.b.approval.on_timeout',
      'steps.b.delay_until',
      'steps.b.retry.max_retries',
      'steps.b.route_labels',
      'steps.bad id',
      'steps.c',
      'steps.d.cases[0].name',
      'timeout_sec',
    ])
  })

  test.each<[string, Record<string, unknown>, string[]]>([
    ['an unknown dependency', { a: { depends_on: ['constructor'] } }, ['steps.a.depends_on[0] WF_UNKNOWN_REFERENCE']],
    ['itself', { a: { depends_on: ['a'] } }, ['steps.a.depends_on[0] WF_SELF_EDGE']],
    ['a cycle', { a: { depends_on: ['b'] }, b: { depends_on: ['a'] }, c: { depends_on: ['b'] } }, ['steps.a WF_CYCLE']],
    ['an unknown target', { a: { on_error: 'x' } }, ['steps.a.on_error WF_UNKNOWN_REFERENCE']],
    ['a target before it', { a: {}, b: { depends_on: ['a'], on_error: 'a' } }, ['steps.a WF_CYCLE']],
    ['two that jump to each other', { a: { on_error: 'b' }, b: { on_error: 'a' } }, ['steps.a WF_CYCLE']],
    ['an expression', { a: { condition: '1 +' } }, ['steps.a.condition WF_EXPRESSION_SYNTAX']],
    ['a list expression', { a: { for_each: 'x(' } }, ['steps.a.for_each WF_EXPRESSION_SYNTAX']],
    ['a template', { a: { input: { x: ['${'] } } }, ['steps.a.input.x[0] WF_EXPRESSION_SYNTAX']],
    ['items of an approval', { a: { type: 'approval', for_each: '[1]' } }, ['steps.a.for_each WF_CONFIG_INVALID']],
    ['no condition', { a: { type: 'condition' } }, ['steps.a.condition WF_CONFIG_INVALID']],
    ['a loop without end', { a: { type: 'loop' } }, ['steps.a.condition WF_CONFIG_INVALID']],
    ['a switch of nothing', { a: { type: 'switch' } }, ['steps.a.cases WF_CONFIG_INVALID']],
    ['no workflow', { a: { type: 'subworkflow' } }, ['steps.a.workflow_id WF_CONFIG_INVALID']],
    ['no URL', { a: { type: 'http', input: {} } }, ['steps.a.input.url WF_CONFIG_INVALID']],
    ['no operation', { a: { type: 'storage', input: { op: 'list' } } }, ['steps.a.input.op WF_CONFIG_INVALID']],
    ['the place of steps', { a: { output_path: 'steps.x' } }, ['steps.a.output_path WF_FIELD_INVALID']],
  ])('%s', (_, steps, expected) => {
    expect(problems(steps)).toEqual(expected)
  })

  test('too many steps, and what is no object', () => {
    const many = Object.fromEntries(Array.from({ length: 501 }, (_, index) => [`s${index}`, {}]))
    expect(problems(many)).toEqual(['steps WF_LIMIT_EXCEEDED'])
    expect(parseDefinition('x').problems).toHaveLength(1)
    expect(parseDefinition(JSON.parse('{"steps":{"__proto__":{}}}')).problems).toHaveLength(1)
  })
})

test('absent, null and empty fields and unknown ones are no problem', () => {
  expect(problems({ a: { type: null, depends_on: null, condition: '', on_error: '', topic: '', unknown: 1 } })).toEqual(
    [],
  )
  expect(parseDefinition({ name: 'x', steps: null }).problems).toEqual([])
})

describe('the plan', () => {
  test('of a built-in type that has a topic is a job on it', () => {
    const types = [
      'llm',
      'worker',
      'http',
      'switch',
      'parallel',
      'loop',
      'transform',
      'input',
      'storage',
      'subworkflow',
    ]
    const plan = planOf(Object.fromEntries(types.map((type) => [type, { type, topic: 'job.t' }])))
    for (const type of types) expect(plan.nodes[type]?.action).toEqual({ kind: 'job', job: { topic: 'job.t' } })
    expect(planOf({ a: { type: 'approval', topic: 'job.t' } }).nodes['a']?.action.kind).toBe('approval')
    expect(planOf({ a: {} }).nodes['a']?.action).toEqual({ kind: 'job', job: { topic: 'job.workflow.wf' } })
  })

  test('of verbs: http and storage', () => {
    const plan = planOf({
      h: { type: 'http', input: { url: 'https://example.org' } },
      s: { type: 'storage', input: { op: 'get', key: 'k' } },
    })
    expect(plan.nodes['h']?.action).toEqual({ kind: 'job', job: { topic: 'job.wh.workflow.http' } })
    expect(plan.nodes['s']?.action).toEqual({ kind: 'job', job: { topic: 'job.wh.workflow.storage' } })
  })

  test('leads from switches to what they choose, and bounds what follows a fork', () => {
    const plan = planOf({
      sw: {
        type: 'switch',
        cases: [
          { name: 'x', when: 'true', steps: ['a'] },
          { name: 'y', when: 'true', steps: ['a', 'b'] },
        ],
      },
      a: {},
      b: { depends_on: ['sw'] },
      f: { type: 'parallel', max_parallel: 2 },
      g: { depends_on: ['f'] },
    })
    expect(plan.edges.map(({ from, to }) => `${from}→${to}`)).toEqual(['sw→a', 'sw→b', 'f→g'])
    expect(plan.nodes['a']?.chosenBy).toEqual([{ node: 'sw', branches: ['x', 'y'] }])
    expect(plan.nodes['g']?.groups).toEqual([{ id: 'f', limit: 2 }])
    expect(plan.entry).toEqual(['sw', 'f'])
  })

  test('does not begin with the target of on_error', () => {
    const plan = planOf({ a: { on_error: 'rescue' }, rescue: {}, b: { on_error: 'continue' } })
    expect(plan.entry).toEqual(['a', 'b'])
    expect(plan.nodes['a']?.onError).toEqual({ kind: 'goto', to: 'rescue' })
    expect(plan.nodes['b']?.onError).toEqual({ kind: 'continue' })
  })

  test('holds times in milliseconds, and the documented defaults', () => {
    const plan = planOf(
      {
        a: { timeout_sec: 2, retry: { max_retries: 3, initial_backoff_sec: 0.5, max_backoff_sec: 9, multiplier: 1 } },
        d: { type: 'delay', timeout_sec: 4 },
        u: { type: 'delay', delay_until: '2026-03-01T09:00:00Z' },
        l: { type: 'loop', condition: 'true', workflow_id: 'other' },
        e: { for_each: 'input.x' },
        ok: { type: 'approval', timeout_sec: 60, approval: { required: 2, separation_of_duties: true } },
      },
      { timeout_sec: 7 },
    )
    expect(plan.timeoutMs).toBe(7000)
    expect(plan.nodes['a']).toMatchObject({
      timeoutMs: 2000,
      retry: { maxRetries: 3, firstMs: 500, maxMs: 9000, multiplier: 2 },
    })
    expect(plan.nodes['d']?.action).toEqual({ kind: 'delay', ms: 4000 })
    expect(plan.nodes['d']?.timeoutMs).toBeUndefined()
    expect(plan.nodes['u']?.action).toEqual({ kind: 'delay', until: Date.UTC(2026, 2, 1, 9) })
    expect(plan.nodes['l']).toMatchObject({
      action: { kind: 'run', workflowId: 'other' },
      loop: { while: 'true', maxIterations: 100 },
    })
    expect(plan.nodes['l']?.condition).toBeUndefined()
    expect(plan.nodes['e']?.each).toEqual({ items: 'input.x', maxParallel: 0, failFast: true })
    expect(plan.nodes['ok']).toMatchObject({
      timeoutMs: 60_000,
      action: { approval: { required: 2, roles: [], allowSelf: false, onTimeout: 'fail' } },
    })
  })
})
