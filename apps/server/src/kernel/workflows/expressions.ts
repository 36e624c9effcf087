import { iso } from '../clock/index.ts'
import type { Instant } from '../clock/index.ts'
import { call, finite, holds, kindOf } from './expression-functions.ts'
import { parseExpression } from './expression-parser.ts'
import type { Expression, Operator, Segment } from './expression-parser.ts'
import {
  Budget,
  checkSize,
  entry,
  equal,
  ExpressionError,
  MAX_RESULT_BYTES,
  order,
  plain,
  print,
  truthy,
} from './expression-values.ts'

export { ExpressionError, print, truthy } from './expression-values.ts'

/** What an expression sees: the value of a first name (`input`, `steps`, …), undefined for one that is not there. */
export interface Scope {
  readonly now: Instant
  get(name: string): unknown
}

const parsed = new Map<string, Expression>()

/** As parseExpression, remembered: the same few expressions are asked for every child of a step. */
export function expressionOf(text: string): Expression {
  let expression = parsed.get(text)
  if (!expression) {
    expression = parseExpression(text)
    if (parsed.size >= 2000) parsed.clear()
    parsed.set(text, expression)
  }
  return expression
}

/**
 * The value of an expression of the jobs dialect (jobs.md 21.3, and what our parser adds). A missing path is null. Throws an ExpressionError,
 * and nothing else, where the text is no expression, a value is of the wrong kind, or a limit is passed (10,000 operations, `maxBytes` of the result).
 */
export function evaluate(text: string, scope: Scope, maxBytes = MAX_RESULT_BYTES): unknown {
  return evaluateParsed(expressionOf(text), scope, maxBytes)
}

/** The same of one that was parsed. */
export function evaluateParsed(expression: Expression, scope: Scope, maxBytes = MAX_RESULT_BYTES): unknown {
  const value = plain(new Evaluation(scope).value(expression))
  checkSize(value, maxBytes)
  return value
}

class Evaluation {
  readonly #scope: Scope
  readonly #budget = new Budget()

  constructor(scope: Scope) {
    this.#scope = scope
  }

  value(expression: Expression): unknown {
    this.#budget.spend()
    switch (expression.kind) {
      case 'literal':
        return expression.value
      case 'name':
        return this.#scope.get(expression.name) ?? null
      case 'member':
        return this.#member(this.value(expression.of), expression.segments)
      case 'list':
        return expression.items.map((each) => plain(this.value(each)))
      case 'not':
        return !truthy(this.value(expression.of))
      case 'minus':
        return -number(this.value(expression.of), '-')
      case 'choice':
        return this.value(truthy(this.value(expression.test)) ? expression.yes : expression.no)
      case 'call':
        return call(
          expression.name,
          expression.args.map((each) => this.value(each)),
          { budget: this.#budget, now: iso(this.#scope.now) },
        )
      case 'binary':
        return this.#binary(expression.operator, expression.left, expression.right)
    }
  }

  /** `&&` and `||` give a truth, and do not look at the right side when the left decides. */
  #binary(operator: Operator, left: Expression, right: Expression): unknown {
    const first = this.value(left)
    if (operator === '&&') return truthy(first) && truthy(this.value(right))
    if (operator === '||') return truthy(first) || truthy(this.value(right))
    const second = this.value(right)
    switch (operator) {
      case '==':
        return equal(first, second, this.#budget)
      case '!=':
        return !equal(first, second, this.#budget)
      case 'in':
        return holds(plain(second), first, this.#budget)
      case '+':
        return this.#sum(first, second)
      case '-':
        return finite(number(first, '-') - number(second, '-'))
      case '*':
        return finite(number(first, '*') * number(second, '*'))
      case '/':
        return finite(number(first, '/') / number(second, '/'))
      case '%':
        return finite(number(first, '%') % number(second, '%'))
    }
    const order_ = order(first, second)
    if (order_ === undefined) return false
    return operator === '<' ? order_ < 0 : operator === '<=' ? order_ <= 0 : operator === '>' ? order_ > 0 : order_ >= 0
  }

  #sum(left: unknown, right: unknown): unknown {
    if (typeof left !== 'string' && typeof right !== 'string') return finite(number(left, '+') + number(right, '+'))
    const text = print(left, this.#budget) + print(right, this.#budget)
    checkSize(text)
    this.#budget.spendOn(text.length)
    return text
  }

  #member(of: unknown, segments: readonly Segment[]): unknown {
    let value = of
    for (let at = 0; at < segments.length; at++) {
      this.#budget.spend()
      const segment = segments[at] as Segment
      if (segment.kind === 'index') {
        value = this.#element(value, segment.index)
        continue
      }
      // A key may hold brackets: `fan[0]` itself is looked for before the element 0 of `fan`.
      const whole = wholeKey(value, segments, at)
      value = whole ? whole.value : entry(value, segment.name)
      at += whole?.skip ?? 0
    }
    return value ?? null
  }

  #element(of: unknown, index: Expression): unknown {
    const at = this.value(index)
    if (Array.isArray(of)) {
      if (typeof at !== 'number' || !Number.isInteger(at)) return null
      return at < 0 ? of.at(at) : of[at]
    }
    return at === null ? null : entry(of, print(at))
  }
}

function wholeKey(of: unknown, segments: readonly Segment[], at: number): { value: unknown; skip: number } | undefined {
  const raws: string[] = []
  for (const next of segments.slice(at + 1)) {
    if (next.kind !== 'index') break
    raws.push(next.raw)
  }
  const segment = segments[at] as Segment
  if (segment.kind !== 'key') return undefined
  for (let skip = raws.length; skip > 0; skip--) {
    const value = entry(of, segment.name + raws.slice(0, skip).join(''))
    if (value !== undefined) return { value, skip }
  }
  return undefined
}

function number(value: unknown, operator: string): number {
  if (typeof value === 'number') return value
  throw new ExpressionError(`'${operator}' takes numbers, not ${kindOf(value)}`)
}
