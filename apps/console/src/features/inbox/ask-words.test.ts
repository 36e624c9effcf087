import { describe, expect, test } from 'vitest'
import { readValue } from './ask-value.ts'
import {
  askWords,
  bulkRefusal,
  commandOf,
  exactArguments,
  leftWords,
  reachedOf,
  shownOf,
  voteWords,
} from './ask-words.ts'

describe('what is asked', () => {
  test('a job goes by its topic, a step by its workflow and name', () => {
    expect(askWords({ kind: 'job', title: 'job.wh.fleet.command.execute' })).toBe('fleet.command.execute')
    expect(askWords({ kind: 'step', title: 'deploy: Approve the rest' })).toBe('deploy: Approve the rest')
  })
  test('the arguments are the input inside the stored context', () => {
    expect(exactArguments({ prompt: 'run', context: { command: 'uptime' } })).toEqual({ command: 'uptime' })
    expect(exactArguments({ command: 'uptime' })).toEqual({ command: 'uptime' })
    expect(exactArguments(null)).toBeNull()
  })
  test('a prompt beside the arguments is not hidden from whoever decides', () => {
    const job = shownOf({ kind: 'job', show: { input: { prompt: 'refund it', context: { cents: 5 } } } })
    expect(job).toMatchObject({ arguments: { cents: 5 }, prompt: 'refund it', form: false })
    expect(shownOf({ kind: 'job', show: { input: { prompt: 'all of it' } } })).toMatchObject({
      arguments: { prompt: 'all of it' },
      prompt: undefined,
    })
  })
  test('a step shows its whole input, and whether it asks for a value', () => {
    const show = { kind: 'form', input: { context: { a: 1 } }, schema: { type: 'object' }, instructions: 'count them' }
    expect(shownOf({ kind: 'step', show })).toEqual({
      arguments: { context: { a: 1 } },
      prompt: undefined,
      instructions: 'count them',
      form: true,
      schema: { type: 'object' },
    })
    expect(shownOf({ kind: 'step', show: { kind: 'approval', input: null } }).form).toBe(false)
  })
  test('a shell command is shown as it will be run', () => {
    expect(commandOf({ command: '/bin/sh', args: ['-c', 'rm -rf /tmp/x'] })).toBe('rm -rf /tmp/x')
    expect(commandOf({ command: 'systemctl', args: ['restart', 'nginx'] })).toBe('systemctl restart nginx')
    expect(commandOf({ release: '1' })).toBeUndefined()
  })
  test('what is reached is named by the arguments', () => {
    expect(reachedOf({ instanceIds: ['a', 'b'] })).toEqual(['a', 'b'])
    expect(reachedOf({ instanceId: 'a' })).toEqual(['a'])
    expect(reachedOf('text')).toEqual([])
  })
  test('votes are counted where more than one is needed, and the time that is left is said', () => {
    expect(voteWords({ votes: 0, required: 1 })).toBe('')
    expect(voteWords({ votes: 1, required: 3 })).toBe('1 of 3 approvals')
    const at = Date.parse('2026-11-22T10:00:00Z')
    expect(leftWords({ expiresAt: null }, at)).toBe('')
    expect(leftWords({ expiresAt: '2026-11-22T10:18:00Z' }, at)).toBe('18 min left')
    expect(leftWords({ expiresAt: '2026-11-22T09:59:59Z' }, at)).toBe('expired')
  })
})

describe('several at once', () => {
  const ask = (hash: string, show: unknown = {}) => ({ kind: 'step' as const, hash, show })
  test('are approved together only when they are the same to the letter', () => {
    expect(bulkRefusal([ask('one'), ask('one')])).toBeUndefined()
    expect(bulkRefusal([ask('one'), ask('other')])).toMatch(/different things/)
  })
  test('are never approved together when a value is asked for', () => {
    expect(bulkRefusal([ask('one', { kind: 'form' })])).toMatch(/value/)
  })
})

describe('the value of a step', () => {
  const schema = {
    type: 'object',
    required: ['rows'],
    properties: { rows: { type: 'integer' }, ok: { default: true } },
  }
  test('begins with what its schema says', () => {
    expect(readValue(undefined, schema)).toEqual({ value: { rows: 0, ok: true } })
  })
  test('may be any JSON, and nothing else', () => {
    expect(readValue('[1]', undefined)).toEqual({ value: [1] })
    expect(readValue('{', undefined).problem).toMatch(/not JSON/)
  })
})
