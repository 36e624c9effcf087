import { describe, expect, test } from 'vitest'
import type { Action, Plan, PlanEdge, PlanNode } from './plan.ts'
import { RunPlayer } from './run-player.ts'

// release.md 18: a template of nodes and edges is expressible as a plan, and runs as that section says. Its compiler comes with its surface.

const job: Action = { kind: 'job', job: { topic: 'job.wh.release.deploy' } }
const node = (id: string, action: Action = job, more: Partial<PlanNode> = {}): PlanNode => ({
  id,
  name: id,
  action,
  input: {},
  skipCountsAs: 'skip',
  join: 'all',
  onError: { kind: 'fail' },
  retry: { maxRetries: 0, firstMs: 1000, maxMs: 300_000, multiplier: 2 },
  groups: [],
  chosenBy: [],
  ...more,
})
const edge = (from: string, to: string, on: PlanEdge['on'] = 'success', condition?: string): PlanEdge => ({
  from,
  to,
  on,
  ...(condition === undefined ? {} : { condition }),
})
const plan = (nodes: readonly PlanNode[], edges: readonly PlanEdge[], more: Partial<Plan> = {}): Plan => ({
  dialect: 'release',
  workflowId: 'template',
  nodes: Object.fromEntries(nodes.map((each) => [each.id, each])),
  edges,
  entry: nodes.filter(({ id }) => !edges.some(({ to }) => to === id)).map(({ id }) => id),
  finally: [],
  failure: 'drain',
  maxParallel: 10,
  ...more,
})

/** The built-in canary template, with what the section's vocabulary adds to it. */
function canary(): Plan {
  const nodes = [
    node('security-gate'),
    node('deploy-canary', job, { retry: { maxRetries: 1, firstMs: 1000, maxMs: 300_000, multiplier: 2 } }),
    node('analyze', job, {
      input: { release: '${release.name}', deployment: '${steps["deploy-canary"].outputs.deploymentId}' },
    }),
    node('ask', { kind: 'approval', approval: { required: 1, roles: [], allowSelf: false, onTimeout: 'reject' } }),
    node('deploy-rest', job, { join: 'any' }),
    node('roll-back'),
    node('told-of-failure'),
    node('collect-evidence', job, { onError: { kind: 'continue' } }),
    node('notify'),
  ]
  const edges = [
    edge('security-gate', 'deploy-canary'),
    edge('deploy-canary', 'analyze'),
    edge('analyze', 'deploy-rest', 'success', "steps.analyze.outputs.verdict == 'good'"),
    edge('analyze', 'ask', 'success', "steps.analyze.outputs.verdict != 'good'"),
    edge('ask', 'deploy-rest'),
    edge('deploy-canary', 'roll-back', 'failure'),
    edge('roll-back', 'told-of-failure'),
  ]
  return plan(nodes, edges, {
    entry: ['security-gate'],
    finally: [
      { node: 'collect-evidence', on: 'always' },
      { node: 'notify', on: 'failure' },
    ],
    outputs: { verdict: 'steps.analyze.outputs.verdict', by: 'inputs.by' },
  })
}

const play = (of: Plan): RunPlayer => {
  const player = new RunPlayer(of, { by: 'ann' })
  player.run.context = { release: { name: 'r1' } }
  return player.start()
}

describe('a template of nodes and edges', () => {
  test('conditioned edges choose a way, and where they meet again a node runs once', () => {
    const player = play(canary())
    player.succeed('security-gate')
    player.succeed('deploy-canary', { deploymentId: 'd1' })
    expect(player.submitted.at(-1)?.input).toEqual({ release: 'r1', deployment: 'd1' })
    player.succeed('analyze', { verdict: 'good' })
    expect(player.running()).toEqual(['deploy-rest'])
    expect(player.step('ask')).toMatchObject({ status: 'skipped', skipReason: 'upstream_skipped' })
    player.succeed('deploy-rest')
    expect(player.running()).toEqual(['collect-evidence'])
    player.fail('collect-evidence')
    expect(player.statuses()).toMatchObject({ 'roll-back': 'skipped', 'told-of-failure': 'skipped', notify: 'skipped' })
    expect(player.run).toMatchObject({ status: 'succeeded', output: { verdict: 'good', by: 'ann' } })
  })

  test('the other way leads over people', () => {
    const player = play(canary())
    player.succeed('security-gate')
    player.succeed('deploy-canary')
    player.succeed('analyze', { verdict: 'poor' })
    expect(player.run.status).toBe('waiting')
    player.decide('ask', true)
    expect(player.running()).toEqual(['deploy-rest'])
  })

  test('a failure leads along its failure edge and what follows that, then the finally block runs', () => {
    const player = play(canary())
    player.succeed('security-gate')
    player.fail('deploy-canary')
    expect(player.step('deploy-canary').status).toBe('retrying')
    player.fire()
    player.fail('deploy-canary', 'no healthy target')
    expect(player.running()).toEqual(['roll-back'])
    expect(player.step('analyze')).toMatchObject({ status: 'skipped', skipReason: 'upstream_failed' })
    expect(player.step('ask').skipReason).toBe('upstream_skipped')
    expect(player.run.status).toBe('running')
    player.succeed('roll-back')
    player.succeed('told-of-failure')
    expect(player.running()).toEqual(['collect-evidence', 'notify'])
    player.succeed('notify')
    player.succeed('collect-evidence')
    expect(player.run).toMatchObject({ status: 'failed', error: { message: 'no healthy target' } })
  })

  test('a failing run begins nothing new elsewhere, and waits for what runs', () => {
    const nodes = [node('a'), node('b'), node('after-b'), node('always')]
    const player = play(plan(nodes, [edge('b', 'after-b'), edge('b', 'always', 'always')]))
    player.fail('a')
    expect(player.running()).toEqual(['b'])
    player.succeed('b')
    expect(player.step('after-b')).toMatchObject({ status: 'skipped', skipReason: 'run_ended' })
    expect(player.running()).toEqual(['always'])
    player.succeed('always')
    expect(player.run.status).toBe('failed')
  })

  test('nothing begins in the very moment in which another step fails', () => {
    const player = play(plan([node('a', { kind: 'fail', message: 'meant' }), node('b')], []))
    expect(player.submitted).toEqual([])
    expect(player.step('b').skipReason).toBe('run_ended')
    expect(player.run).toMatchObject({ status: 'failed', error: { message: 'meant' } })
  })

  test('goto begins its node, and the edges of what failed do not count', () => {
    const nodes = [node('a', job, { onError: { kind: 'goto', to: 'plan-b' } }), node('b'), node('plan-b'), node('end')]
    const edges = [edge('a', 'b'), edge('b', 'end'), edge('plan-b', 'end')]
    const player = play(plan(nodes, edges, { entry: ['a'] }))
    player.fail('a')
    expect(player.running()).toEqual(['plan-b'])
    player.succeed('plan-b')
    player.succeed('end')
    expect(player.run.status).toBe('succeeded')
    expect(player.step('b').status).toBe('skipped')
  })

  test('joins: all, any and at least so many', () => {
    const nodes = [
      node('a'),
      node('b'),
      node('c'),
      node('first', job, { join: 'any' }),
      node('two', job, { join: { atLeast: 2 } }),
      node('all'),
    ]
    const edges = ['first', 'two', 'all'].flatMap((to) => ['a', 'b', 'c'].map((from) => edge(from, to, 'always')))
    const player = play(plan(nodes, edges))
    player.succeed('b')
    expect(player.running()).toEqual(['a', 'c', 'first'])
    player.succeed('a')
    expect(player.running()).toEqual(['c', 'first', 'two'])
    player.succeed('c')
    expect(player.running()).toEqual(['first', 'two', 'all'])
  })

  test('at most so many run at once, and ready ones begin in the order of their ids', () => {
    const player = play(
      plan(
        ['c', 'a', 'd', 'b'].map((id) => node(id)),
        [],
        { maxParallel: 2 },
      ),
    )
    expect(player.running()).toEqual(['a', 'b'])
    player.succeed('a')
    expect(player.running()).toEqual(['b', 'c'])
  })

  test('what has not begun when a run is cancelled is skipped, and the finally block does not run', () => {
    const player = play(canary())
    player.send({ kind: 'cancel', reason: 'stop' })
    expect(player.statuses()).toMatchObject({
      'security-gate': 'cancelled',
      analyze: 'skipped',
      'collect-evidence': 'skipped',
    })
    expect(player.step('analyze').skipReason).toBe('run_ended')
    expect(player.run.status).toBe('cancelled')
  })
})
