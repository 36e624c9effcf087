import { describe, expect, test } from 'vitest'
import { compileDefinition } from './compile.ts'
import { parseDefinition } from './parse-definition.ts'
import { playDefinition as play, RunPlayer } from './run-player.ts'

const types = (player: RunPlayer, step?: string) =>
  player.timeline.filter((event) => step === undefined || event.step === step).map(({ type }) => type)

describe('jobs', () => {
  test('all steps whose dependencies succeeded run together, and the run gives the outputs of its leaves', () => {
    const player = play({ a: {}, b: {}, c: { depends_on: ['a', 'b'] }, d: { depends_on: ['a'] } }, { x: 1 })
    expect(player.running()).toEqual(['a', 'b'])
    expect(player.submitted[0]).toMatchObject({
      jobId: 'run:a@1',
      attempt: 1,
      input: { x: 1 },
      job: { topic: 'job.workflow.wf' },
    })
    player.succeed('a', 1)
    expect(player.running()).toEqual(['b', 'd'])
    player.succeed('d', { four: 4 })
    player.succeed('b', 2)
    player.succeed('c')
    expect(player.run).toMatchObject({ status: 'succeeded', output: { c: null, d: { four: 4 } } })
    expect(player.run.completedAt).toBe(player.now)
    expect(types(player, 'c')).toEqual(['step_dispatched', 'step_completed'])
  })

  test('inputs are evaluated from what came before, and outputs are written into the context', () => {
    const player = play({
      a: { output_path: 'found.a' },
      b: {
        depends_on: ['a'],
        input: { url: '${steps.a.output.url}/x', n: '${ctx.found.a.n}', run: '${run.workflow_id}' },
      },
    })
    player.succeed('a', { url: 'http://h', n: 3 })
    expect(player.submitted[1]?.input).toEqual({ url: 'http://h/x', n: 3, run: 'wf' })
    expect(player.run.context).toEqual({ found: { a: { url: 'http://h', n: 3 } } })
  })

  test('a failure ends the run at once and cancels what still runs', () => {
    const player = play({ a: {}, b: {}, c: { depends_on: ['b'] }, ok: { type: 'approval' } })
    player.fail('a', 'broken')
    expect(player.run).toMatchObject({ status: 'failed', error: { message: 'broken', code: 'test' } })
    expect(player.statuses()).toEqual({ a: 'failed', b: 'cancelled', c: 'cancelled', ok: 'cancelled' })
    expect(player.cancelled).toEqual(['run:b@1'])
    expect(player.asked.size).toBe(0)
    expect(player.step('c').startedAt).toBeUndefined()
  })

  test.each(['failed', 'denied', 'timed_out'] as const)('%s is retried with growing waits', (kind) => {
    const player = play({ a: { retry: { max_retries: 2, initial_backoff_sec: 2, multiplier: 3, max_backoff_sec: 5 } } })
    player.fail('a', 'once', kind)
    expect(player.step('a')).toMatchObject({ status: 'retrying', attempts: 1, nextAttemptAt: player.now + 2000 })
    expect(player.run.status).toBe('running')
    expect(player.fire()).toMatchObject({ purpose: 'retry', attempt: 1 })
    expect(player.running()).toEqual(['a'])
    player.fail('a', 'twice', kind)
    expect(player.step('a').nextAttemptAt).toBe(player.now + 5000)
    player.fire()
    expect(player.submitted.map(({ jobId }) => jobId)).toEqual(['run:a@1', 'run:a@2', 'run:a@3'])
    player.fail('a', 'thrice', kind)
    expect(player.run.status).toBe(kind === 'timed_out' ? 'timed_out' : 'failed')
    expect(types(player, 'a').filter((type) => type === 'step_retry_scheduled')).toHaveLength(2)
  })

  test('a cancelled job is not retried and not handled', () => {
    const player = play({ a: { retry: { max_retries: 2 }, on_error: 'continue' } })
    player.fail('a', 'stopped', 'cancelled')
    expect(player.step('a').status).toBe('cancelled')
    expect(player.run.status).toBe('failed')
  })

  test('what comes twice, late or of an earlier attempt changes nothing', () => {
    const player = play({ a: { retry: { max_retries: 1 } }, b: { depends_on: ['a'] } })
    const end = (jobId: string) => ({
      kind: 'job-ended' as const,
      step: 'a',
      jobId,
      end: { kind: 'succeeded' as const },
    })
    expect(player.send({ kind: 'start' })).toBe(0)
    expect(player.send(end('run:a@2'))).toBe(0)
    player.fail('a')
    const retry = player.timers[0]
    expect(player.send(end('run:a@1'))).toBe(0)
    player.fire()
    expect(player.send({ kind: 'timer', step: 'a', purpose: 'retry', attempt: retry?.attempt ?? 0 })).toBe(0)
    expect(player.send(end('run:a@1'))).toBe(0)
    expect(player.send(end('run:a@2'))).toBeGreaterThan(0)
    expect(player.send(end('run:a@2'))).toBe(0)
    expect(player.send({ kind: 'job-ended', step: 'nowhere', jobId: 'x', end: { kind: 'succeeded' } })).toBe(0)
    player.succeed('b')
    expect(player.send({ kind: 'cancel', reason: 'late' })).toBe(0)
    expect(player.send({ kind: 'run-timeout' })).toBe(0)
    expect(player.run.status).toBe('succeeded')
  })

  test('schemas of input and output are kept to', () => {
    const wrong = play({ a: { input: { x: 1 }, input_schema: { const: 7 } } })
    expect(wrong.run).toMatchObject({ status: 'failed', error: { code: 'input_invalid' } })
    expect(wrong.submitted).toEqual([])
    const player = play({ a: { output_schema: { const: 'good' }, retry: { max_retries: 5 } } })
    player.succeed('a', 'bad')
    expect(player.run).toMatchObject({ status: 'failed', error: { code: 'output_invalid' } })
    expect(types(player, 'a')).toContain('step_output_invalid')
    const large = play({ a: { output_schema: { const: 'good' } } })
    large.send({ kind: 'job-ended', step: 'a', jobId: 'run:a@1', end: { kind: 'succeeded', resultPtr: 'redis://r' } })
    expect(large.run.status).toBe('succeeded')
    expect(large.step('a').resultPtr).toBe('redis://r')
  })

  test('a bad expression fails its step, not the engine', () => {
    const player = play({ a: { input: { x: "${number('x')}" } }, b: { condition: '1 / 0', on_error: 'continue' } })
    expect(player.step('a').error?.message).toContain("input.x: number() takes a number, not 'x'")
    expect(player.step('a').error?.code).toBe('expression_error')
    expect(player.run.status).toBe('failed')
  })

  test('what one event began and ended is not begun at all', () => {
    const player = play({ a: {}, z: { input: { x: '${1 / 0}' } } })
    expect(player.submitted).toEqual([])
    expect(player.cancelled).toEqual([])
    expect(types(player)).not.toContain('step_dispatched')
    expect(player.step('a').status).toBe('cancelled')
  })
})

describe('conditions', () => {
  test('a step whose condition is false is skipped, and counts as succeeded', () => {
    const player = play({ a: { condition: 'input.go' }, b: { depends_on: ['a'] } }, { go: false })
    expect(player.step('a')).toMatchObject({ status: 'skipped', skipReason: 'condition_false' })
    player.succeed('b')
    expect(player.run).toMatchObject({ status: 'succeeded', output: { b: null } })
    expect(types(player, 'a')).toEqual(['step_skipped'])
  })

  test('a condition step gives its truth', () => {
    const player = play({ c: { type: 'condition', condition: 'input.n > 3' } }, { n: 4 })
    expect(player.run.output).toEqual({ c: true })
    expect(player.timeline).toContainEqual({ type: 'step_condition_evaluated', step: 'c', data: { value: true } })
  })

  const routes = {
    sw: {
      type: 'switch',
      cases: [
        { name: 'big', when: 'input.n > 10', steps: ['big'] },
        { name: 'small', when: 'input.n < 5', steps: ['small'] },
      ],
      default: 'none',
    },
    big: { depends_on: ['sw'] },
    'after-big': { depends_on: ['big'] },
    small: {},
    other: { depends_on: ['sw'], condition: "steps.sw.output.branch == 'none'" },
    join: { depends_on: ['after-big', 'small', 'other'] },
  }

  test.each([
    [20, 'big', ['big']],
    [1, 'small', ['small']],
    [7, 'none', ['other']],
  ])('a switch on %d chooses %s', (n, branch, running) => {
    const player = play(routes, { n })
    expect(player.step('sw').output).toEqual({ branch, value: branch })
    expect(player.running()).toEqual(running)
    if (branch !== 'big') expect(player.step('after-big').skipReason).toBe('upstream_skipped')
    if (branch !== 'small') expect(player.step('small').skipReason).toBe('not_chosen')
    while (player.jobs.size) player.succeed(player.running()[0] as string)
    expect(player.step('join').status).toBe('succeeded')
    expect(player.run.status).toBe('succeeded')
  })

  test('a switch without cases gives the value of its condition', () => {
    const player = play({ sw: { type: 'switch', condition: 'input.color' } }, { color: 'red' })
    expect(player.run.output).toEqual({ sw: { branch: 'red', value: 'red' } })
  })
})

describe('people', () => {
  test('an approval waits, and its value is the output', () => {
    const player = play({ ok: { type: 'approval' }, b: { depends_on: ['ok'] }, other: {} })
    expect(player.run.status).toBe('waiting')
    expect(player.asked).toEqual(new Set(['ok']))
    player.succeed('other')
    player.decide('ok', true, { note: 'fine' })
    expect(player.step('ok')).toMatchObject({ status: 'succeeded', output: { note: 'fine' } })
    expect(player.run.status).toBe('running')
    expect(types(player, 'ok')).toEqual(['step_waiting', 'step_approved', 'step_completed'])
    player.decide('ok', false)
    player.succeed('b')
    expect(player.run.status).toBe('succeeded')
  })

  test('a rejection fails the step and is not retried', () => {
    const player = play({ ok: { type: 'approval', retry: { max_retries: 3 } } })
    player.decide('ok', false)
    expect(player.run).toMatchObject({
      status: 'failed',
      error: { message: 'Rejected by ann', code: 'approval_rejected' },
    })
  })

  test.each([
    ['fail', 'timed_out'],
    ['reject', 'failed'],
    ['approve', 'succeeded'],
  ])('when nobody decides in time: %s', (on_timeout, status) => {
    const player = play({ ok: { type: 'approval', timeout_sec: 60, approval: { on_timeout } } })
    expect(player.fire()).toMatchObject({ purpose: 'timeout', at: 1_060_000 })
    expect(player.run.status).toBe(status)
    expect(player.asked.size).toBe(0)
  })

  test('a form waits for a value that fits', () => {
    const player = play({
      f: { type: 'input', input_schema: { const: 7 } },
      t: { type: 'input', input: { x: '${1 + 1}' } },
    })
    expect(player.step('t').output).toEqual({ x: 2 })
    player.decide('f', true, 8)
    expect(player.step('f').status).toBe('waiting')
    expect(types(player, 'f')).toContain('step_input_invalid')
    player.decide('f', true, 7)
    expect(player.run.output).toEqual({ f: 7, t: { x: 2 } })
  })
})

describe('time', () => {
  test('a delay waits; one of the past does not', () => {
    const player = play({
      d: { type: 'delay', delay_sec: 30 },
      past: { type: 'delay', delay_until: '1970-01-01T00:00:00Z' },
      next: { depends_on: ['d'] },
    })
    expect(player.statuses()).toEqual({ d: 'waiting', past: 'succeeded', next: 'pending' })
    expect(player.run.status).toBe('waiting')
    expect(player.send({ kind: 'timer', step: 'd', purpose: 'delay', attempt: 2 })).toBe(0)
    expect(player.fire()).toMatchObject({ purpose: 'delay', at: 1_030_000 })
    expect(player.running()).toEqual(['next'])
    expect(types(player, 'd')).toEqual(['step_delay_started', 'step_delay_completed', 'step_completed'])
  })

  test('the time limit of the run cancels what runs', () => {
    const player = play({ a: {}, b: { depends_on: ['a'] } }, {}, { timeout_sec: 10 })
    expect(player.runDeadline).toBe(player.now + 10_000)
    player.send({ kind: 'run-timeout' })
    expect(player.run).toMatchObject({ status: 'timed_out', error: { code: 'run_timeout' } })
    expect(player.statuses()).toEqual({ a: 'cancelled', b: 'cancelled' })
    expect(player.cancelled).toEqual(['run:a@1'])
  })

  test("a step's own time limit cancels its job and is retried", () => {
    const player = play({ a: { timeout_sec: 5, retry: { max_retries: 1 } } })
    expect(player.submitted[0]?.timeoutMs).toBe(5000)
    player.send({ kind: 'timer', step: 'a', purpose: 'timeout', attempt: 1 })
    expect(player.cancelled).toEqual(['run:a@1'])
    expect(player.step('a').status).toBe('retrying')
    player.fire()
    player.send({ kind: 'timer', step: 'a', purpose: 'timeout', attempt: 2 })
    expect(player.run.status).toBe('timed_out')
  })

  test('cancel', () => {
    const player = play({
      a: {},
      d: { type: 'delay', delay_sec: 9 },
      r: { retry: { max_retries: 1 } },
      w: { type: 'approval' },
    })
    player.fail('r')
    player.send({ kind: 'cancel', reason: 'enough' })
    expect(player.run).toMatchObject({ status: 'cancelled', error: { message: 'enough' } })
    expect(Object.values(player.statuses()).every((status) => status === 'cancelled')).toBe(true)
    for (const timer of player.timers.slice()) player.fireTimer(timer)
    expect(player.run.status).toBe('cancelled')
    expect(player.jobs.size).toBe(0)
  })

  test('a run may be cancelled before it began', () => {
    const { definition } = parseDefinition({ steps: { a: {} } })
    const player = new RunPlayer(compileDefinition({ ...definition, id: 'wf' }))
    player.send({ kind: 'cancel', reason: 'no' })
    expect(player.run.status).toBe('cancelled')
    expect(player.send({ kind: 'start' })).toBe(0)
  })
})

describe('failures that are handled', () => {
  test('continue: those that follow run all the same', () => {
    const player = play({ a: { on_error: 'continue' }, b: { depends_on: ['a'] } })
    player.fail('a', 'never mind')
    expect(player.step('a')).toMatchObject({ status: 'failed', handled: true })
    player.succeed('b')
    expect(player.run.status).toBe('succeeded')
    expect(player.run.error).toBeUndefined()
  })

  test('a step id: that step runs instead of those that follow', () => {
    const steps = {
      a: { on_error: 'rescue' },
      b: { depends_on: ['a'] },
      rescue: {},
      end: { depends_on: ['b', 'rescue'] },
    }
    const player = play(steps)
    player.fail('a')
    expect(player.running()).toEqual(['rescue'])
    expect(player.step('b').skipReason).toBe('upstream_skipped')
    player.succeed('rescue')
    player.succeed('end')
    expect(player.run.status).toBe('succeeded')
    const fine = play(steps)
    fine.succeed('a')
    expect(fine.step('rescue')).toMatchObject({ status: 'skipped', skipReason: 'not_chosen' })
    fine.succeed('b')
    fine.succeed('end')
    expect(fine.run.status).toBe('succeeded')
  })

  test('two steps may have the same rescue, which runs once', () => {
    const player = play({ a: { on_error: 'rescue' }, b: { on_error: 'rescue' }, rescue: {} })
    player.fail('a')
    player.succeed('rescue')
    player.fail('b')
    expect(player.run.status).toBe('succeeded')
    expect(player.submitted.filter(({ step }) => step === 'rescue')).toHaveLength(1)
  })
})
