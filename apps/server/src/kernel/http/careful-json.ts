import { Fault } from '@wheelhouse/contract'

const FORBIDDEN = new Set(['__proto__', 'constructor', 'prototype'])

/**
 * Refuses bodies that two readers could understand differently (platform.md §19.4): a name twice at the top level, and names that
 * mean something to the language that reads them. `value` is the same text, parsed.
 */
export function refuseAmbiguity(raw: Buffer, value: unknown): void {
  const twice = repeatedName(raw.toString('utf8'))
  if (twice !== undefined) refuse(twice, 'stands twice')
  const forbidden = forbiddenName(value)
  if (forbidden !== undefined) refuse(forbidden, 'is not allowed as a name')
}

function refuse(name: string, why: string): never {
  throw new Fault('VAL_SCHEMA', { in: 'body' }, { message: `${name.slice(0, 128)} ${why}` })
}

function forbiddenName(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  for (const [name, each] of Object.entries(value)) {
    if (FORBIDDEN.has(name)) return name
    const below = forbiddenName(each)
    if (below !== undefined) return below
  }
  return undefined
}

/** The first member name that an object has twice; the text is valid JSON. */
function repeatedName(text: string): string | undefined {
  const seen = new Set<string>()
  let depth = 0
  for (const token of text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/g)) {
    const [word, colon] = token
    if (word === '{' || word === '[') depth += 1
    else if (word === '}' || word === ']') depth -= 1
    else if (depth === 1 && colon !== undefined) {
      const name = JSON.parse(word.slice(0, word.length - colon.length)) as string
      if (seen.has(name)) return name
      seen.add(name)
    }
  }
  return undefined
}
