import { describe, expect, test } from 'vitest'
import { playDefinition as play } from './run-player.ts'

describe('for each', () => {
  const steps = {
    fan: { for_each: 'input.items', max_parallel: 2, input: { v: '${item * 10}', i: '${index}' } },
    end: { depends_on: ['fan'] },
  }

  test('children run at most max_parallel at once, and their outputs stand in the order of the items', () => {
    const player = play(steps, { items: [1, 2, 3] })
    expect(player.running()).toEqual(['fan[0]', 'fan[1]'])
    expect(player.submitted[1]).toMatchObject({ input: { v: 20, i: 1, item: 2 }, item: 2, index: 1 })
    player.succeed('fan[1]', 'second')
    expect(player.running()).toEqual(['fan[0]', 'fan[2]'])
    player.succeed('fan[2]', 'third')
    player.succeed('fan[0]', 'first')
    expect(player.step('fan')).toMatchObject({ status: 'succeeded', output: ['first', 'second', 'third'] })
    expect(player.step('fan').children).toEqual({ total: 3, begun: 3, succeeded: 3, failed: 0 })
    expect(player.running()).toEqual(['end'])
  })

  test('nothing to run gives an empty list, and what is no list fails', () => {
    expect(play(steps, { items: [] }).step('fan').output).toEqual([])
    expect(play(steps).step('fan').output).toEqual([])
    expect(play(steps, { items: 'x' }).run.error?.message).toBe('for_each gave no list')
    expect(play(steps, { items: Array.from({ length: 10_001 }, () => 0) }).run.error?.code).toBe('limit_exceeded')
  })

  test('the first failure cancels the others', () => {
    const player = play(steps, { items: [1, 2, 3] })
    player.fail('fan[0]', 'bad item')
    expect(player.run).toMatchObject({ status: 'failed', error: { message: 'fan[0]: bad item' } })
    expect(player.children.get('fan')?.map(({ status }) => status)).toEqual(['failed', 'cancelled', 'cancelled'])
    expect(player.cancelled).toEqual(['run:fan[1]@1'])
  })

  test('without fail_fast all are tried first', () => {
    const player = play({ fan: { ...steps.fan, fail_fast: false, on_error: 'continue' } }, { items: [1, 2, 3] })
    player.fail('fan[0]', 'bad item')
    player.succeed('fan[1]')
    player.succeed('fan[2]')
    expect(player.step('fan')).toMatchObject({
      status: 'failed',
      handled: true,
      error: { message: 'fan[0]: bad item' },
    })
    expect(player.run.status).toBe('succeeded')
  })

  test('children have retries of their own', () => {
    const player = play({ fan: { for_each: '[1, 2]', retry: { max_retries: 1 } } })
    player.fail('fan[1]')
    player.succeed('fan[0]')
    expect(player.fire()).toMatchObject({ step: 'fan[1]' })
    player.succeed('fan[1]')
    expect(player.submitted.at(-1)?.jobId).toBe('run:fan[1]@2')
    expect(player.run.status).toBe('succeeded')
  })

  test('children that the engine does itself end at once', () => {
    const items = Array.from({ length: 1000 }, (_, index) => index)
    const player = play(
      { t: { type: 'transform', for_each: 'input.items', max_parallel: 3, input: { sq: '${item * item}' } } },
      { items },
    )
    expect(player.run.status).toBe('succeeded')
    expect((player.step('t').output as unknown[])[31]).toEqual({ sq: 961, item: 31 })
    const bad = play({ t: { type: 'transform', for_each: '[1, 0]', input: { x: '${1 / item}' } } })
    expect(bad.run.error?.message).toBe('t[1]: input.x: The result is no finite number')
  })

  test('a child is seen by its place, also after the end', () => {
    const player = play({
      fan: { for_each: "['x']" },
      b: { depends_on: ['fan'], input: { v: '${steps.fan[0].output.n}' } },
    })
    player.succeed('fan[0]', { n: 5 })
    expect(player.submitted.at(-1)?.input).toEqual({ v: 5 })
  })

  test('cancel reaches the children', () => {
    const player = play({ fan: { for_each: '[1, 2, 3]', max_parallel: 2 } })
    player.send({ kind: 'cancel', reason: 'x' })
    expect(player.children.get('fan')?.every(({ status }) => status === 'cancelled')).toBe(true)
    expect(player.cancelled.toSorted()).toEqual(['run:fan[0]@1', 'run:fan[1]@1'])
  })
})

describe('loops', () => {
  test('the work is done again while the condition holds', () => {
    const player = play({
      l: {
        type: 'loop',
        condition: 'output.more && iteration < 5',
        input: { n: '${iteration}', before: '${output.v}' },
      },
      end: { depends_on: ['l'], input: { v: '${steps.l.output.v}' } },
    })
    player.succeed('l[0]', { more: true, v: 'a' })
    expect(player.submitted.at(-1)).toMatchObject({ jobId: 'run:l[1]@1', input: { n: 2, before: 'a' } })
    player.succeed('l[1]', { more: false, v: 'b' })
    expect(player.submitted.at(-1)?.input).toEqual({ v: 'b' })
    expect(player.step('l')).toMatchObject({ status: 'succeeded', output: { more: false, v: 'b' } })
  })

  test('it ends as failed when the condition still holds after the last iteration, or a child fails', () => {
    const player = play({ l: { type: 'loop', condition: 'true', max_iterations: 2 } })
    player.succeed('l[0]')
    player.succeed('l[1]')
    expect(player.run.error?.code).toBe('loop_limit')
    const broken = play({ l: { type: 'loop', condition: 'true' } })
    broken.fail('l[0]', 'x')
    expect(broken.run.error?.message).toBe('l[0]: x')
    const bad = play({ l: { type: 'loop', condition: '1 / output' } })
    bad.succeed('l[0]', 0)
    expect(bad.run.error?.code).toBe('expression_error')
  })
})

describe('sub-runs', () => {
  test('the output of the run is that of the step', () => {
    const player = play({ s: { type: 'subworkflow', workflow_id: 'other', input: { a: 1 } }, b: { depends_on: ['s'] } })
    expect([...player.runs.values()]).toMatchObject([
      { step: 's', runId: 'sub-1', workflowId: 'other', input: { a: 1 } },
    ])
    expect(player.send({ kind: 'run-ended', step: 's', runId: 'sub-9', status: 'succeeded' })).toBe(0)
    player.send({ kind: 'run-ended', step: 's', runId: 'sub-1', status: 'succeeded', output: { x: 1 } })
    expect(player.step('s').output).toEqual({ x: 1 })
    player.send({ kind: 'cancel', reason: 'x' })
    expect(player.cancelled).toEqual(['run:b@1'])
  })

  test('failures are retried as a new run, a cancel is not; cancel and time limit follow', () => {
    const player = play({ s: { type: 'subworkflow', workflow_id: 'o', retry: { max_retries: 1 }, timeout_sec: 5 } })
    player.send({ kind: 'run-ended', step: 's', runId: 'sub-1', status: 'failed', error: { message: 'x' } })
    const retry = player.timers.find(({ purpose }) => purpose === 'retry')
    if (retry) player.fireTimer(retry)
    expect(player.step('s')).toMatchObject({ childRunId: 'sub-2', attempts: 2 })
    const limit = player.timers.find(({ purpose, attempt }) => purpose === 'timeout' && attempt === 2)
    if (limit) player.fireTimer(limit)
    expect(player.cancelled).toEqual(['sub-2'])
    expect(player.run.status).toBe('timed_out')
    const other = play({ s: { type: 'subworkflow', workflow_id: 'o', retry: { max_retries: 1 } } })
    other.send({ kind: 'run-ended', step: 's', runId: 'sub-1', status: 'cancelled' })
    expect(other.run.status).toBe('failed')
  })
})

describe('marks', () => {
  test('a fork bounds how many of its followers run at once', () => {
    const player = play({
      f: { type: 'parallel', max_parallel: 2 },
      ...Object.fromEntries(['a', 'b', 'c', 'd'].map((id) => [id, { depends_on: ['f'] }])),
      free: {},
    })
    expect(player.running().toSorted()).toEqual(['a', 'b', 'free'])
    player.succeed('a')
    expect(player.running().toSorted()).toEqual(['b', 'c', 'free'])
  })

  test('notify tells what its input says', () => {
    const player = play({ n: { type: 'notify', name: 'Told', input: { level: 'warn', code: 'C${1 + 1}' } } })
    expect(player.notified).toMatchObject([
      { level: 'WARN', message: 'Told', code: 'C2', component: 'workflow-engine' },
    ])
    expect(player.run.status).toBe('succeeded')
  })

  test('a run of 500 steps and a run of none end', () => {
    const chain = Object.fromEntries(
      Array.from({ length: 500 }, (_, index) => [
        `s${index}`,
        { type: 'transform', depends_on: index ? [`s${index - 1}`] : [] },
      ]),
    )
    expect(play(chain).run.status).toBe('succeeded')
    expect(play({}).run).toMatchObject({ status: 'succeeded', output: {} })
  })
})
