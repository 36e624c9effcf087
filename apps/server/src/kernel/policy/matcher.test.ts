import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseGlob } from './glob.ts'
import { compilePattern } from './matcher.ts'
import { PatternError } from './pattern.ts'
import { anywhere, parseRegexp } from './regexp-syntax.ts'

const REGEXP_OF = new Map([
  ['*', '[^/]*'],
  ['?', '[^/]'],
  ['.', '\\.'],
  ['/', '\\/'],
])
const glob = (pattern: string, separator: '/' | '' = '/') => compilePattern(parseGlob(pattern, separator).node)
const search = (pattern: string) => compilePattern(anywhere(parseRegexp(pattern)))

describe('globs', () => {
  test.each([
    ['job.*', 'job.a.b', true],
    ['job.*', 'job.', true],
    ['job.*', 'job', false],
    ['job.*', 'job.a/b', false],
    ['job.?', 'job.a', true],
    ['job.?', 'job./', false],
    ['job.?', 'job.ab', false],
    ['job.[a-c]x', 'job.bx', true],
    ['job.[^a-c]x', 'job.bx', false],
    ['job.[^a-c]x', 'job.zx', true],
    ['JOB.*', 'job.a', false],
    ['a\\*b', 'a*b', true],
    ['a\\*b', 'axb', false],
    ['*a*b*', 'xxaxxbxx', true],
    ['', '', true],
    ['', 'a', false],
    ['job.[]-]', 'job.-', undefined],
    ['job.[', 'job.[', undefined],
    ['job.[]', 'job.', undefined],
    ['job.[z-a]', 'job.b', undefined],
    ['job.[a-]', 'job.a', undefined],
    ['job.\\', 'job.\\', undefined],
  ])('%j on %j gives %j (undefined = malformed)', (pattern, text, expected) => {
    if (expected === undefined) expect(() => glob(pattern)).toThrow(PatternError)
    else expect(glob(pattern)(text)).toBe(expected)
  })

  test('without a separator a star also runs over slashes and lines', () => {
    expect(glob('rm *', '')('rm /a/b\nc')).toBe(true)
  })

  test('the index sees the prefix and whether there is a wildcard', () => {
    expect(parseGlob('job.a\\*b.*', '/')).toMatchObject({ prefix: 'job.a*b.', literal: false })
    expect(parseGlob('job.a', '/')).toMatchObject({ prefix: 'job.a', literal: true })
  })

  test('agrees with a regular expression on random globs', () => {
    const part = fc.constantFrom('a', 'b', '/', '.', '*', '?', '[ab]', '[^a]', '[a-b.]')
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), fc.stringMatching(/^[ab/.]{0,8}$/), (parts, text) => {
        const source = parts.map((p) => REGEXP_OF.get(p) ?? p).join('')
        expect(glob(parts.join(''))(text)).toBe(new RegExp(`^${source}$`, 's').test(text))
      }),
      { numRuns: 2000 },
    )
  })
})

describe('regular expressions', () => {
  const atom = fc.constantFrom(
    'a',
    'b',
    '.',
    '\\s',
    '\\w',
    '\\W',
    '[ab]',
    '[^a\\n]',
    '\\b',
    '\\B',
    '^',
    '$',
    '(?:a|b)',
    '(|a)',
  )
  const source: fc.Arbitrary<string> = fc.letrec<{ piece: string; all: string }>((tie) => ({
    piece: fc.oneof(
      { maxDepth: 3 },
      atom,
      fc
        .tuple(tie('all'), fc.constantFrom('*', '+', '?', '{2}', '{1,2}', '{0,}', '*?'))
        .map(([x, q]) => `(?:${x})${q}`),
    ),
    all: fc
      .array(
        fc.array(tie('piece'), { maxLength: 4 }).map((xs) => xs.join('')),
        { minLength: 1, maxLength: 3 },
      )
      .map((xs) => xs.join('|')),
  })).all

  test('agrees with the engine of the language on random patterns', () => {
    fc.assert(
      fc.property(source, fc.boolean(), fc.stringMatching(/^[abAB \n]{0,8}$/), (pattern, fold, text) => {
        const expected = new RegExp(pattern, fold ? 'mi' : 'm').test(text)
        expect(search(fold ? `(?i)${pattern}` : pattern)(text)).toBe(expected)
      }),
      { numRuns: 3000 },
    )
  })

  test.each([
    ['(a', 'unclosed "("'],
    ['a)', 'without "("'],
    ['[a', 'unclosed "["'],
    ['[b-a]', 'malformed range'],
    ['(?=a)', 'lookaround'],
    ['(?<n>a)', 'lookaround'],
    ['(a)\\1', '"\\1"'],
    ['*a', 'nothing before'],
    ['a**', 'repeats a repetition'],
    ['a{2', 'malformed "{n,m}"'],
    ['a{3,2}', 'm below n'],
    ['a{2000}', 'more than 1000'],
    ['(?:a{900}){900}', 'too large'],
    ['a\\', 'lone'],
    ['\\q', '"\\q"'],
    ['('.repeat(60) + ')'.repeat(60), 'deep'],
  ])('refuses %j', (pattern, message) => {
    expect(() => search(pattern)).toThrow(message)
  })

  test('a pattern that makes a backtracking engine explode stays linear', () => {
    const evil = search('^(a+)+$')
    const quadratic = search('.*a.*a.*a.*b')
    const text = 'a'.repeat(200_000)
    const begin = performance.now()
    expect(evil(`${text}!`)).toBe(false)
    expect(quadratic(text)).toBe(false)
    expect(performance.now() - begin).toBeLessThan(2000)
  })

  test('more states than are kept still give the right answer', () => {
    const nth = search('a[ab]{14}$')
    let seed = 7
    const random = () => (seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648
    for (let round = 0; round < 20; round++) {
      const text = Array.from({ length: 2000 }, () => (random() < 0.5 ? 'a' : 'b')).join('')
      expect(nth(text)).toBe(text.at(-15) === 'a')
    }
  })
})
