import { describe, expect, test } from 'vitest'
import { commandOf, exactArguments, reachedOf } from './ask-words.ts'

describe('what is asked', () => {
  test('the arguments are the input inside the stored context', () => {
    expect(exactArguments({ prompt: 'run', context: { command: 'uptime' } })).toEqual({ command: 'uptime' })
    expect(exactArguments({ command: 'uptime' })).toEqual({ command: 'uptime' })
    expect(exactArguments(null)).toBeNull()
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
})
