import type { WorkflowRun } from '@wheelhouse/contract/jobs/runs'
import { describe, expect, test } from 'vitest'
import {
  childWords,
  firstStep,
  graphOf,
  named,
  type PlanShape,
  stepOrder,
  stepState,
  waterfallOf,
} from './run-words.ts'

const node = (id: string, layer: number, kind = 'job'): PlanShape['nodes'][number] => ({
  id,
  name: id === 'sure' ? 'Are you sure?' : id,
  kind,
  layer,
  each: false,
  loop: false,
})
// As the server may give them: in the order of the definition, not of time.
const PLAN: PlanShape = {
  nodes: [node('tell', 3), node('sure', 2, 'approval'), node('build', 0), node('scan', 1)],
  edges: [
    { from: 'build', to: 'scan', on: 'success' },
    { from: 'scan', to: 'sure', on: 'success' },
    { from: 'sure', to: 'tell', on: 'failure' },
  ],
}
const AT = Date.parse('2026-11-22T10:00:00Z')
const iso = (seconds: number) => new Date(AT + seconds * 1000).toISOString()

function run(steps: NonNullable<WorkflowRun['steps']>, status: WorkflowRun['status'] = 'running'): WorkflowRun {
  return {
    id: 'r',
    workflow_id: 'w',
    org_id: '',
    team_id: '',
    input: {},
    context: {},
    status,
    started_at: iso(0),
    completed_at: null,
    output: null,
    error: null,
    steps,
    total_cost: 0,
    triggered_by: '',
    created_at: iso(0),
    updated_at: iso(0),
  }
}
const WAITING = run({
  sure: { step_id: 'sure', status: 'waiting', started_at: iso(5), approval_id: 'a' },
  scan: { step_id: 'scan', status: 'succeeded', started_at: iso(2), completed_at: iso(5) },
  build: { step_id: 'build', status: 'succeeded', started_at: iso(0), completed_at: iso(2) },
  tell: { step_id: 'tell', status: 'pending' },
})

describe('the steps of a run', () => {
  test('stand in the order of time, then of the plan', () => {
    expect(stepOrder(PLAN, WAITING).map(({ id }) => id)).toEqual(['build', 'scan', 'sure', 'tell'])
    expect(stepOrder(PLAN, { steps: {} }).map(({ id }) => id)).toEqual(['build', 'scan', 'sure', 'tell'])
    expect(waterfallOf(PLAN, WAITING, AT + 9000).map(({ id, took }) => [id, took])).toEqual([
      ['build', '2 s'],
      ['scan', '3 s'],
      ['sure', '4 s'],
      ['tell', ''],
    ])
  })
  test('what waits is looked at first, then what failed, then what runs, then what ended last', () => {
    const failed = { step_id: 'scan', status: 'failed' as const, started_at: iso(2), completed_at: iso(3) }
    const runs = { step_id: 'build', status: 'running' as const, started_at: iso(0) }
    const done = { step_id: 'build', status: 'succeeded' as const, started_at: iso(0), completed_at: iso(1) }
    expect(firstStep(PLAN, WAITING)).toBe('sure')
    expect(firstStep(PLAN, { steps: { scan: failed, build: runs } })).toBe('scan')
    expect(firstStep(PLAN, { steps: { build: runs } })).toBe('build')
    expect(firstStep(PLAN, { steps: { build: done } })).toBe('build')
    expect(firstStep(PLAN, { steps: null })).toBe('build')
  })
  test('what waited for a person is hatched, what worked is solid', () => {
    const kinds = waterfallOf(PLAN, WAITING, AT).map(({ bars }) => bars.map(({ kind }) => kind).join())
    expect(kinds).toEqual(['worked', 'worked', 'waited', ''])
  })
  test('a skipped step is not green, and a second try is told', () => {
    expect(stepState({ step_id: 's', status: 'succeeded', skipped: true, skip_reason: 'not_chosen' })).toEqual({
      status: 'off',
      word: 'Skipped: another branch was chosen',
    })
    expect(stepState({ step_id: 's', status: 'succeeded', attempts: 2 })).toEqual({
      status: 'warning',
      word: 'Done at try 2',
    })
    expect(stepState(undefined).word).toBe('Not begun')
  })
  test('items are counted in words', () => {
    expect(childWords({ total: 12, succeeded: 8, failed: 1 })).toBe('8 of 12 done, 1 failed')
  })
})

describe('the graph', () => {
  test('of a run shows states, and which edges were passed', () => {
    const { nodes, edges } = graphOf(PLAN, WAITING, AT + 9000)
    expect(nodes.find(({ id }) => id === 'sure')).toMatchObject({ status: 'waiting', fact: 'asked 4 s ago' })
    expect(edges.map(({ state, label }) => [state, label])).toEqual([
      ['done', undefined],
      ['active', undefined],
      ['planned', 'on failure'],
    ])
  })
  test('of a definition shows kinds, and claims no state', () => {
    const [first] = graphOf(PLAN, undefined, 0).nodes
    expect(first).toMatchObject({ word: 'Job', status: 'off' })
    expect(first?.icon).toBeDefined()
  })
  test('marks of a fan-out are as many as there is room for', () => {
    const counts = { total: 1000, begun: 600, succeeded: 500, failed: 1 }
    const wide = run({ build: { step_id: 'build', status: 'running', started_at: iso(0), children_counts: counts } })
    const marks = graphOf(PLAN, wide, AT).nodes.find(({ id }) => id === 'build')?.marks ?? []
    expect(marks).toHaveLength(12)
    expect(marks.filter((mark) => mark === 'failed')).toHaveLength(1)
  })
})

test('a line about a step says its name, where it has one', () => {
  expect(named('sure waits for 1 approval.', PLAN)).toBe('“Are you sure?” waits for 1 approval.')
  expect(named('build runs.', PLAN)).toBe('build runs.')
  expect(named('Nothing', PLAN)).toBe('Nothing')
})
