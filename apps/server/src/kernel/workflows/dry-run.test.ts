import { describe, expect, test } from 'vitest'
import { compileDefinition } from './compile.ts'
import { dryRun } from './dry-run.ts'
import { parseDefinition } from './parse-definition.ts'
import { newRun } from './run-player.ts'

async function dry(steps: Record<string, unknown>, input: Record<string, unknown> = {}) {
  const { definition, problems } = parseDefinition({ steps })
  expect(problems).toEqual([])
  const plan = compileDefinition({ ...definition, id: 'wf' })
  const run = newRun(plan, { id: 'run', input })
  const before = JSON.stringify([run, [...run.steps]])
  const asked: unknown[] = []
  const world = { now: 0, newId: () => 'id', validate: () => undefined }
  const { steps: told } = await dryRun(plan, run, world, ({ job, input: given }) => {
    asked.push([job.topic, given])
    const denied = job.topic === 'job.danger'
    return Promise.resolve({ decision: denied ? 'DENY' : 'ALLOW', ...(denied ? { ruleId: 'r1', reason: 'no' } : {}) })
  })
  expect(JSON.stringify([run, [...run.steps]])).toBe(before)
  return { told: Object.fromEntries(told.map((step) => [step.id, step])), asked, order: told.map(({ id }) => id) }
}

describe('a dry run', () => {
  test('walks the plan in layers, evaluates what is known and asks policy of every job', async () => {
    const { told, asked, order } = await dry(
      {
        a: { input: { name: '${input.name}!' } },
        b: { topic: 'job.danger', depends_on: ['a'], input: { url: '${steps.a.output.url}', fixed: 1 } },
        t: { type: 'transform', input: { twice: '${input.n * 2}' } },
        c: { depends_on: ['t'], input: { n: '${steps.t.output.twice}' } },
        ok: { type: 'approval', depends_on: ['b', 'c'] },
      },
      { name: 'x', n: 4 },
    )
    expect(order).toEqual(['a', 't', 'b', 'c', 'ok'])
    expect(told['a']).toEqual({
      id: 'a',
      type: 'job',
      layer: 0,
      runs: 'yes',
      topic: 'job.workflow.wf',
      input: { name: 'x!' },
      decision: 'ALLOW',
    })
    expect(told['b']).toMatchObject({
      layer: 1,
      runs: 'yes',
      input: { url: '${steps.a.output.url}', fixed: 1 },
      unknown: ['steps.a.output'],
      decision: 'DENY',
      rule_id: 'r1',
      reason: 'no',
    })
    expect(told['c']).toMatchObject({ input: { n: 8 } })
    expect(told['ok']).toMatchObject({ layer: 2, runs: 'yes', type: 'approval' })
    expect(asked).toHaveLength(3)
  })

  test('says what does not run, and what nobody can know yet', async () => {
    const { told, asked } = await dry({
      no: { condition: 'false' },
      after: { depends_on: ['no'] },
      a: {},
      maybe: { depends_on: ['a'], condition: 'steps.a.output.go' },
      always: { depends_on: ['maybe'] },
      sw: {
        type: 'switch',
        cases: [
          { name: 'x', when: 'true', steps: ['x'] },
          { name: 'y', when: 'true', steps: ['y'] },
        ],
      },
      x: {},
      y: {},
      'after-y': { depends_on: ['y'] },
      late: {
        type: 'switch',
        depends_on: ['a'],
        condition: 'steps.a.output',
        cases: [{ name: 'z', when: 'steps.a.output.z', steps: ['z'] }],
      },
      z: {},
      risky: { on_error: 'rescue' },
      rescue: {},
    })
    const runs = Object.fromEntries(Object.entries(told).map(([id, step]) => [id, step.runs]))
    expect(runs).toEqual({
      no: 'no',
      after: 'yes',
      a: 'yes',
      maybe: 'unknown',
      always: 'yes',
      sw: 'yes',
      x: 'yes',
      y: 'no',
      'after-y': 'no',
      late: 'unknown',
      z: 'unknown',
      risky: 'yes',
      rescue: 'unknown',
    })
    expect(told['maybe']?.why).toBe('its condition reads steps.a.output')
    expect(told['y']?.why).toBe('sw chooses another branch')
    expect(told['rescue']?.why).toBe('runs when risky fails')
    expect(asked).toHaveLength(8)
  })

  test('shows lists, sub-runs and what would fail', async () => {
    const { told } = await dry(
      {
        fan: { for_each: 'input.items', input: { v: '${item.v}' } },
        later: { depends_on: ['fan'], for_each: 'steps.fan.output' },
        sub: { type: 'subworkflow', workflow_id: 'other' },
        bad: { type: 'transform', input: { x: '${1 / 0}' } },
        behind: { depends_on: ['bad'] },
        written: { depends_on: ['fan'], output_path: 'found' },
        reads: { depends_on: ['written'], input: { f: '${ctx.found}', i: '${ctx.other}' } },
        l: { type: 'loop', condition: 'output.more', input: { i: '${iteration}', o: '${output}' } },
      },
      { items: [{ v: 1 }, { v: 2 }] },
    )
    expect(told['fan']).toMatchObject({ items: 2, input: { v: 1 } })
    expect(told['later']).toMatchObject({ unknown: ['steps.fan.output'] })
    expect(told['sub']).toMatchObject({ type: 'run', workflow_id: 'other' })
    expect(told['bad']).toMatchObject({ problem: 'input.x: The result is no finite number' })
    expect(told['behind']).toMatchObject({ runs: 'no' })
    expect(told['reads']).toMatchObject({ unknown: ['ctx.found'], input: { f: '${ctx.found}', i: null } })
    expect(told['l']).toMatchObject({ unknown: ['output'], input: { i: 1, o: '${output}' } })
  })

  test('steps that a rerun kept count as they ended', async () => {
    const { definition } = parseDefinition({
      steps: { a: {}, b: { depends_on: ['a'], input: { v: '${steps.a.output}' } } },
    })
    const plan = compileDefinition({ ...definition, id: 'wf' })
    const run = newRun(plan, { id: 'run', input: {} })
    Object.assign(run.steps.get('a') ?? {}, { status: 'succeeded', output: 'kept' })
    const { steps } = await dryRun(plan, run, { now: 0, newId: () => '', validate: () => undefined }, () =>
      Promise.resolve({ decision: 'ALLOW' }),
    )
    expect(steps).toMatchObject([
      { id: 'a', runs: 'no', why: 'kept from the run before' },
      { id: 'b', runs: 'yes', input: { v: 'kept' } },
    ])
  })
})
