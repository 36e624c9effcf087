import { describe, expect, test } from 'vitest'
import { match, strokeOf, type KeyBinding } from './keys.tsx'

const key = (name: string, held: Partial<Record<'ctrlKey' | 'metaKey' | 'altKey' | 'shiftKey', boolean>> = {}) =>
  strokeOf({ key: name, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...held })

describe('the name of a stroke', () => {
  test('control and command are one', () => {
    expect(key('k', { metaKey: true })).toBe('mod+k')
    expect(key('k', { ctrlKey: true })).toBe('mod+k')
  })
  test('shift counts for letters and named keys, not for a sign that needs it', () => {
    expect(key('X', { shiftKey: true })).toBe('shift+x')
    expect(key('?', { shiftKey: true })).toBe('?')
    expect(key('Enter', { shiftKey: true })).toBe('shift+enter')
  })
  test('space and arrows have names', () => {
    expect([key(' '), key('ArrowDown')]).toEqual(['space', 'down'])
  })
})

describe('which binding answers', () => {
  const binding = (keys: string): KeyBinding => ({ keys, label: keys, group: 'test', run: () => {} })
  const bindings = [binding('j'), binding('g h'), binding('h'), binding('g f')]

  test('a sequence needs its first stroke', () => {
    expect(match(bindings, 'g', undefined)).toBe('begun')
    expect(match(bindings, 'h', 'g')).toBe(bindings[1])
    expect(match(bindings, 'h', undefined)).toBe(bindings[2])
  })
  test('a stroke that completes no sequence stands for itself', () => {
    expect(match(bindings, 'j', 'g')).toBe(bindings[0])
    expect(match(bindings, 'q', undefined)).toBeUndefined()
  })
  test('of two, the first listed wins', () => {
    const inner = binding('j')
    expect(match([inner, ...bindings], 'j', undefined)).toBe(inner)
  })
})
