import { ARITIES } from './expression-functions.ts'
import { ExpressionError } from './expression-values.ts'

/** One expression, parsed. A path is a `member` of a `name`. */
export type Expression =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'member'; readonly of: Expression; readonly segments: readonly Segment[] }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expression[] }
  | { readonly kind: 'list'; readonly items: readonly Expression[] }
  | { readonly kind: 'not' | 'minus'; readonly of: Expression }
  | { readonly kind: 'binary'; readonly operator: Operator; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'choice'; readonly test: Expression; readonly yes: Expression; readonly no: Expression }

/** `raw` is the text of an index with its brackets: `fan[0]` may be a key as it stands (jobs.md 21.3). */
export type Segment =
  | { readonly kind: 'key'; readonly name: string }
  | { readonly kind: 'index'; readonly index: Expression; readonly raw: string }

export type Operator = '||' | '&&' | '+' | '-' | '*' | '/' | '%' | Comparison
type Comparison = '==' | '!=' | '>=' | '<=' | '>' | '<' | 'in'

/**
 * From the loosest to the tightest. The reference splits at the first operator it finds in this order, wherever it stands, so each binds to
 * the right and looser than the next (jobs.md 21.3); `in` is ours.
 */
const COMPARISONS: readonly Comparison[] = ['==', '!=', '>=', '<=', '>', '<', 'in']

const MAX_LENGTH = 8192
const MAX_DEPTH = 64
const MAX_NODES = 2000

const NUMBER = /(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?/y
const NAME = /[\p{L}_$@][\p{L}\p{N}_$@]*(?:-+[\p{L}\p{N}_$@]+)*/uy
/** As a name, but it may begin with a digit: `steps.1.output`, and where a number is none: `2nd`. */
const KEY = /[\p{L}\p{N}_$@]+(?:-+[\p{L}\p{N}_$@]+)*/uy
const GOES_ON = /[\p{L}\p{N}_$@]/uy

/**
 * The expression in `text`. A hyphen between letters belongs to the name (`steps.my-step`), so a minus there needs spaces. Throws an
 * ExpressionError that says what is wrong and where; never anything else, and in time linear in the text (at most 8,192 characters).
 */
export function parseExpression(text: string): Expression {
  if (text.length > MAX_LENGTH) throw new ExpressionError(`An expression has at most ${MAX_LENGTH} characters`)
  return new Parser(text).whole()
}

class Parser {
  readonly #text: string
  #at = 0
  #depth = 0
  #nodes = 0

  constructor(text: string) {
    this.#text = text
  }

  whole(): Expression {
    this.#space()
    // An empty expression is an empty path: null.
    if (this.#at >= this.#text.length) return { kind: 'literal', value: null }
    const expression = this.#choice()
    if (this.#at < this.#text.length) this.#fail(`unexpected '${this.#here()}'`)
    return expression
  }

  #choice(): Expression {
    return this.#deeper(() => {
      const test = this.#or()
      if (!this.#take('?')) return test
      const yes = this.#choice()
      this.#expect(':')
      return this.#node({ kind: 'choice', test, yes, no: this.#choice() })
    })
  }

  #or(): Expression {
    let left = this.#and()
    while (this.#take('||')) left = this.#binary('||', left, this.#and())
    return left
  }

  #and(): Expression {
    let left = this.#comparison(0)
    while (this.#take('&&')) left = this.#binary('&&', left, this.#comparison(0))
    return left
  }

  /** `!` negates the whole comparison that follows it, as the reference's negation of the whole rest. */
  #comparison(loosest: number): Expression {
    return this.#deeper(() => {
      let left = this.#negation() ? this.#node({ kind: 'not', of: this.#comparison(loosest) }) : this.#sum()
      for (;;) {
        const level = this.#nextComparison()
        if (level === undefined || level < loosest) return left
        const operator = COMPARISONS[level] as Comparison
        this.#at += operator.length
        this.#space()
        left = this.#binary(operator, left, this.#comparison(level))
      }
    })
  }

  #nextComparison(): number | undefined {
    for (let level = 0; level < COMPARISONS.length; level++) {
      const operator = COMPARISONS[level] as Comparison
      if (!this.#text.startsWith(operator, this.#at)) continue
      if (operator === 'in' && this.#matches(GOES_ON, this.#at + 2)) continue
      return level
    }
    return undefined
  }

  #sum(): Expression {
    let left = this.#product()
    for (;;) {
      if (this.#take('+')) left = this.#binary('+', left, this.#product())
      else if (this.#take('-')) left = this.#binary('-', left, this.#product())
      else return left
    }
  }

  #product(): Expression {
    let left = this.#unary()
    for (;;) {
      const operator = (['*', '/', '%'] as const).find((each) => this.#take(each))
      if (!operator) return left
      left = this.#binary(operator, left, this.#unary())
    }
  }

  #unary(): Expression {
    return this.#deeper(() => {
      if (this.#negation()) return this.#node({ kind: 'not', of: this.#unary() })
      if (this.#take('-')) return this.#node({ kind: 'minus', of: this.#unary() })
      if (this.#take('+')) return this.#unary()
      const of = this.#primary()
      const segments = this.#segments()
      this.#space()
      return segments.length ? this.#node({ kind: 'member', of, segments }) : of
    })
  }

  #primary(): Expression {
    const first = this.#text[this.#at]
    if (first === undefined) this.#fail('the expression ends where a value should stand')
    if (this.#take('(')) {
      const inner = this.#choice()
      this.#expect(')', false)
      return inner
    }
    if (this.#take('[')) return this.#node({ kind: 'list', items: this.#list(']') })
    if (first === "'" || first === '"') return this.#quoted(first)
    const number = this.#match(NUMBER)
    if (number !== undefined) {
      if (!this.#matches(GOES_ON, this.#at + number.length)) {
        this.#at += number.length
        return this.#node({ kind: 'literal', value: Number(number) })
      }
      const key = this.#match(KEY)
      if (key !== undefined) return this.#named(key)
    }
    const name = this.#match(NAME)
    if (name === undefined) this.#fail(`unexpected '${this.#here()}'`)
    return this.#named(name)
  }

  #named(name: string): Expression {
    this.#at += name.length
    if (name === 'true' || name === 'false') return this.#node({ kind: 'literal', value: name === 'true' })
    if (name === 'null') return this.#node({ kind: 'literal', value: null })
    if (this.#text[this.#at] !== '(') return this.#node({ kind: 'name', name })
    const arity = ARITIES.get(name)
    if (!arity) this.#fail(`there is no function '${name}'`)
    this.#take('(')
    const args = this.#list(')')
    const [least, most] = arity
    if (args.length < least || args.length > most) {
      const takes = least === most ? `${least}` : most === Infinity ? `at least ${least}` : `${least} to ${most}`
      this.#fail(`${name}() takes ${takes} value${takes === '1' ? '' : 's'}, not ${args.length}`)
    }
    return this.#node({ kind: 'call', name, args })
  }

  /** What stands between commas, up to and with the closing bracket. */
  #list(close: ')' | ']'): Expression[] {
    const items: Expression[] = []
    if (this.#takeExactly(close)) return items
    do items.push(this.#choice())
    while (this.#take(','))
    this.#expect(close, false)
    return items
  }

  #segments(): Segment[] {
    const segments: Segment[] = []
    for (;;) {
      const start = this.#at
      if (this.#takeExactly('.')) {
        const name = this.#match(KEY)
        if (name === undefined) this.#fail("a name is missing after '.'")
        this.#at += name.length
        segments.push({ kind: 'key', name })
      } else if (this.#text[start] === '[') {
        this.#take('[')
        const index = this.#choice()
        this.#expect(']', false)
        segments.push({ kind: 'index', index, raw: this.#text.slice(start, this.#at) })
      } else return segments
      if (++this.#nodes > MAX_NODES) this.#fail('the expression is too large')
    }
  }

  /** Between quotes everything is itself: there are no escapes, as in the reference. */
  #quoted(quote: string): Expression {
    const end = this.#text.indexOf(quote, this.#at + 1)
    if (end < 0) this.#fail(`a closing ${quote} is missing`)
    const value = this.#text.slice(this.#at + 1, end)
    this.#at = end + 1
    return this.#node({ kind: 'literal', value })
  }

  #negation(): boolean {
    return this.#text[this.#at + 1] !== '=' && this.#take('!')
  }

  #binary(operator: Operator, left: Expression, right: Expression): Expression {
    return this.#node({ kind: 'binary', operator, left, right })
  }

  #node(node: Expression): Expression {
    if (++this.#nodes > MAX_NODES) this.#fail('the expression is too large')
    return node
  }

  #deeper<T>(parse: () => T): T {
    // Three of these levels stand between a bracket and the next.
    if (++this.#depth > MAX_DEPTH * 3) this.#fail('the expression is nested too deeply')
    const result = parse()
    this.#depth--
    return result
  }

  #take(text: string): boolean {
    if (!this.#takeExactly(text)) return false
    this.#space()
    return true
  }

  /** Without the space that follows: `a[0] [1]` is not `a[0][1]`. */
  #takeExactly(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false
    this.#at += text.length
    return true
  }

  #expect(text: string, space = true): void {
    if (!(space ? this.#take(text) : this.#takeExactly(text))) {
      this.#fail(this.#at < this.#text.length ? `'${text}' expected before '${this.#here()}'` : `'${text}' is missing`)
    }
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    return pattern.exec(this.#text)?.[0]
  }

  #matches(pattern: RegExp, at: number): boolean {
    pattern.lastIndex = at
    return pattern.test(this.#text)
  }

  #space(): void {
    while (this.#at < this.#text.length && /\s/.test(this.#text[this.#at] as string)) this.#at++
  }

  #here(): string {
    return this.#text.slice(this.#at, this.#at + 10)
  }

  #fail(what: string): never {
    throw new ExpressionError(`${what} (character ${this.#at + 1} of '${shorten(this.#text)}')`)
  }
}

const shorten = (text: string): string => (text.length > 60 ? `${text.slice(0, 57)}…` : text)
