import { parseGlob } from './glob.ts'
import type { FactCondition, Scalar } from './match.ts'
import { compilePattern } from './matcher.ts'
import { PatternError } from './pattern.ts'

/** What a verb reports about the effect it is asked for; JSON, stored with the decision. */
export type Facts = Readonly<Record<string, unknown>>

/** How texts are compared in lists: trimmed, case-insensitive (jobs.md 20.2). */
export function normal(text: string): string {
  return text.trim().toLowerCase()
}

/**
 * The values at a dotted path. Keys may hold dots themselves (`instance.labels.app.kubernetes.io/name`): every way to
 * cut the path is tried, the longest key first. A list on the way contributes every element.
 */
export function valuesAt(facts: unknown, path: string): unknown[] {
  if (Array.isArray(facts)) return facts.flatMap((element) => valuesAt(element, path))
  if (facts === null || typeof facts !== 'object') return []
  const whole = member(facts, path)
  if (whole !== undefined) return Array.isArray(whole) ? whole.flat() : [whole]
  for (let dot = path.lastIndexOf('.'); dot > 0; dot = path.lastIndexOf('.', dot - 1)) {
    const inner = member(facts, path.slice(0, dot))
    if (inner === undefined) continue
    const found = valuesAt(inner, path.slice(dot + 1))
    if (found.length > 0) return found
  }
  return []
}

function member(value: object, key: string): unknown {
  if (!Object.hasOwn(value, key)) return undefined
  return (value as Record<string, unknown>)[key] ?? undefined
}

/** Compiles one condition of `match.facts`; the rules are in `match.ts`. */
export function compileFact(condition: FactCondition): (facts: Facts) => boolean {
  const { path, bounds, exists } = condition
  const oneOf = new Set(condition.oneOf.map(comparable))
  const not = new Set(condition.not.map(comparable))
  const like = condition.like.map(globTest)
  const positive = (value: unknown): boolean => {
    const text = comparable(value)
    if (text === undefined) return false
    if (oneOf.size > 0 && !oneOf.has(text)) return false
    if (like.length > 0 && !like.some((test) => test(text))) return false
    return bounds.every((bound) => within(value, bound.op, bound.value))
  }
  const asksPositively = oneOf.size > 0 || like.length > 0 || bounds.length > 0
  return (facts) => {
    const values = valuesAt(facts, path)
    if (exists !== null && values.length > 0 !== exists) return false
    if (not.size > 0 && values.some((value) => not.has(comparable(value)))) return false
    return !asksPositively || values.some(positive)
  }
}

function comparable(value: unknown): string | undefined {
  if (typeof value === 'string') return normal(value)
  return typeof value === 'number' || typeof value === 'boolean' ? String(value satisfies Scalar) : undefined
}

function within(value: unknown, op: 'gt' | 'gte' | 'lt' | 'lte', bound: number): boolean {
  // Labels are text, so a number may come as one.
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof number !== 'number' || Number.isNaN(number)) return false
  if (op === 'gt') return number > bound
  if (op === 'gte') return number >= bound
  return op === 'lt' ? number < bound : number <= bound
}

/** A case-insensitive glob over a normalised text; a malformed one never matches. */
export function globTest(pattern: string): (text: string) => boolean {
  try {
    return compilePattern(parseGlob(normal(pattern), '').node)
  } catch (error) {
    if (error instanceof PatternError) return () => false
    throw error
  }
}
