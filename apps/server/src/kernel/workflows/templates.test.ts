import { describe, expect, test } from 'vitest'
import { render, templateProblems } from './templates.ts'
import type { Scope } from './expressions.ts'

const values: Record<string, unknown> = { input: { n: 5, list: [1, 2], name: 'x', brace: '}' }, item: { id: 7 } }
const scope: Scope = { now: 0, get: (name) => values[name] }

describe('templates', () => {
  test.each<[unknown, unknown]>([
    ['plain', 'plain'],
    ['${input.n}', 5],
    ['${input.list}', [1, 2]],
    ['${input.absent}', null],
    ['n is ${input.n}!', 'n is 5!'],
    ['[${input.absent}]', '[]'],
    ['${input.n}${input.n}', '55'],
    ['list: ${input.list}', 'list: [1,2]'],
    ["${'}' + input.brace}", '}}'],
    ['$5 {x} $', '$5 {x} $'],
    [
      { a: ['${item.id}', { b: 'id-${item.id}' }], c: 1, d: null },
      { a: [7, { b: 'id-7' }], c: 1, d: null },
    ],
    [JSON.parse('{"__proto__": "${input.n}"}'), JSON.parse('{"__proto__": 5}')],
  ])('%j gives %j', (template, expected) => {
    expect(render(template, scope)).toEqual(expected)
  })

  test('an error names the place of the template', () => {
    expect(() => render({ a: [{ b: '${1 / 0}' }] }, scope)).toThrow('input.a[0].b: The result is no finite number')
    expect(() => render({ a: 'x ${input.n' }, scope)).toThrow("input.a: a '${' is not closed")
  })

  test('what they make together is bounded', () => {
    values['input'] = { big: 'x'.repeat(200_000) }
    expect(() =>
      render(
        Array.from({ length: 6 }, () => '${input.big}'),
        scope,
      ),
    ).toThrow('larger than 1024 KiB')
    expect(() => render('${input.big}'.repeat(6) + '!', scope)).toThrow('larger than 1 MiB')
  })

  test('every problem of an input is found with its path', () => {
    expect(templateProblems({ a: '${1 +}', b: ['ok ${input.n}', '${'], c: 3 }, 'steps.x.input')).toEqual([
      { path: 'steps.x.input.a', message: expect.stringContaining('ends where a value') },
      { path: 'steps.x.input.b[1]', message: expect.stringContaining('not closed') },
    ])
  })
})
