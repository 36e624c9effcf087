import { checkSize } from './expression-values.ts'
import { evaluateParsed, ExpressionError, expressionOf, print } from './expressions.ts'
import type { Scope } from './expressions.ts'
import type { Expression } from './expression-parser.ts'

/** Bytes of an evaluated input. */
const MAX_RENDERED = 1024 * 1024
const MAX_DEPTH = 64

type Part = string | Expression

/**
 * A text with `${…}` in it, in parts. A `}` between quotes does not end an expression. Throws an ExpressionError where an expression is not
 * closed or cannot be parsed.
 */
export function parseTemplate(text: string): readonly Part[] {
  const parts: Part[] = []
  let at = 0
  for (let open = text.indexOf('${'); open >= 0; open = text.indexOf('${', at)) {
    if (open > at) parts.push(text.slice(at, open))
    const close = endOfExpression(text, open + 2)
    if (close < 0) throw new ExpressionError("a '${' is not closed by '}'")
    parts.push(expressionOf(text.slice(open + 2, close)))
    at = close + 1
  }
  if (at < text.length) parts.push(text.slice(at))
  return parts
}

function endOfExpression(text: string, from: number): number {
  let quote: string | undefined
  for (let at = from; at < text.length; at++) {
    const letter = text[at] as string
    if (quote) {
      if (letter === quote) quote = undefined
    } else if (letter === "'" || letter === '"') quote = letter
    else if (letter === '}') return at
  }
  return -1
}

/**
 * The value with every template in it evaluated (jobs.md 21.4): a string that is one expression alone gives its value, others text. Throws an
 * ExpressionError whose message begins with the path to the template.
 */
export function render(value: unknown, scope: Scope, at = 'input'): unknown {
  const walk = (each: unknown, path: string, depth: number): unknown => {
    if (depth > MAX_DEPTH) throw new ExpressionError(`${path}: the input is nested too deeply`)
    if (typeof each === 'string') {
      if (!each.includes('${')) return each
      try {
        return renderText(each, scope)
      } catch (error) {
        if (error instanceof ExpressionError) throw new ExpressionError(`${path}: ${error.message}`, { cause: error })
        throw error
      }
    }
    if (Array.isArray(each)) return each.map((item, index) => walk(item, `${path}[${index}]`, depth + 1))
    if (typeof each !== 'object' || each === null) return each
    return Object.fromEntries(Object.entries(each).map(([key, item]) => [key, walk(item, `${path}.${key}`, depth + 1)]))
  }
  const result = walk(value, at, 0)
  checkSize(result, MAX_RENDERED)
  return result
}

function renderText(text: string, scope: Scope): unknown {
  const parts = parseTemplate(text)
  const [only] = parts
  if (parts.length === 1 && typeof only === 'object') return evaluateParsed(only, scope)
  let length = 0
  return parts
    .map((part) => {
      const printed = typeof part === 'string' ? part : print(evaluateParsed(part, scope))
      length += printed.length
      if (length > MAX_RENDERED) throw new ExpressionError('the text is larger than 1 MiB')
      return printed
    })
    .join('')
}

/** Every template of the value that cannot be parsed, with the path to it. */
export function templateProblems(value: unknown, path: string, depth = 0): { path: string; message: string }[] {
  if (depth > MAX_DEPTH) return [{ path, message: `is nested deeper than ${MAX_DEPTH}` }]
  if (typeof value === 'string') {
    try {
      if (value.includes('${')) parseTemplate(value)
      return []
    } catch (error) {
      if (error instanceof ExpressionError) return [{ path, message: error.message }]
      throw error
    }
  }
  if (Array.isArray(value)) {
    return value.flatMap((each, index) => templateProblems(each, `${path}[${index}]`, depth + 1))
  }
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, each]) => templateProblems(each, `${path}.${key}`, depth + 1))
}
