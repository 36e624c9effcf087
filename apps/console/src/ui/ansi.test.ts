import { describe, expect, test } from 'vitest'
import { ansiParts, plainText } from './ansi.ts'

const ESC = '\u001b'

describe('a line with terminal sequences', () => {
  test('a plain line stays one part', () => {
    expect(ansiParts('GET /health 200')).toEqual([{ text: 'GET /health 200', tone: '' }])
  })
  test('colours map to tokens and end at a reset', () => {
    expect(ansiParts(`${ESC}[1;31mfailed${ESC}[0m: disk`)).toEqual([
      { text: 'failed', tone: 'text-failed-text font-strong' },
      { text: ': disk', tone: '' },
    ])
  })
  test('bright and 256-colour codes do not spill into the text', () => {
    expect(ansiParts(`${ESC}[92mok${ESC}[38;5;196m!${ESC}[39m.`).map((part) => part.text)).toEqual(['ok', '!', '.'])
  })
  test('cursor movements, titles and control characters are dropped', () => {
    expect(plainText(`${ESC}[2J${ESC}]0;title${'\u0007'}a${ESC}[10;5Hb`)).toBe('ab')
    expect(ansiParts('a\u0008b')).toEqual([
      { text: 'a', tone: '' },
      { text: 'b', tone: '' },
    ])
  })
})
