import { parseGlob } from './glob.ts'
import type { Glob } from './glob.ts'
import { compilePattern } from './matcher.ts'
import { PatternError } from './pattern.ts'

export type TopicTest = (topic: string) => boolean

/** A glob with its test; undefined when it is malformed, and so never matches (jobs.md 20.2). */
function readTopic(pattern: string): { glob: Glob; test: TopicTest } | undefined {
  try {
    const glob = parseGlob(pattern, '/')
    const { prefix, literal } = glob
    return { glob, test: literal ? (topic) => topic === prefix : compilePattern(glob.node) }
  } catch (error) {
    if (error instanceof PatternError) return undefined
    throw error
  }
}

/** A glob's literal beginning, for an index, and its test. Undefined for a malformed one. */
export function topicGlob(pattern: string): { prefix: string; test: TopicTest } | undefined {
  const read = readTopic(pattern)
  return read && { prefix: read.glob.prefix, test: read.test }
}

/** A test of a topic against several globs. */
export function topicTest(patterns: readonly string[]): TopicTest {
  const tests = patterns.flatMap((pattern) => readTopic(pattern)?.test ?? [])
  return (topic) => tests.some((test) => test(topic))
}

const MAX_CACHED = 512
const MAX_CACHED_LENGTH = 200

/**
 * Finds the entries that a topic concerns, in their order, without looking at the rest: literal topics by a map, globs by
 * their literal prefix. What `derive` makes of them is remembered for the 512 to 1,024 latest distinct topics.
 */
export function topicIndex<T, R>(
  entries: readonly { topics: readonly string[]; entry: T }[],
  derive: (found: readonly T[]) => R,
): (topic: string) => R {
  const always: number[] = []
  const literal = new Map<string, number[]>()
  const globs = new Map<string, { at: number; test: TopicTest }[]>()
  entries.forEach(({ topics }, at) => {
    if (topics.length === 0) always.push(at)
    for (const pattern of topics) {
      const read = readTopic(pattern)
      if (!read) continue
      const { prefix } = read.glob
      if (read.glob.literal) literal.set(prefix, [...(literal.get(prefix) ?? []), at])
      else globs.set(prefix, [...(globs.get(prefix) ?? []), { at, test: read.test }])
    }
  })
  const lengths = [...new Set([...globs.keys()].map((prefix) => prefix.length))].sort((a, b) => a - b)

  function find(topic: string): R {
    const found = new Set([...always, ...(literal.get(topic) ?? [])])
    for (const length of lengths) {
      if (length > topic.length) break
      for (const { at, test } of globs.get(topic.slice(0, length)) ?? []) if (test(topic)) found.add(at)
    }
    const inOrder = [...found].sort((a, b) => a - b)
    return derive(inOrder.map((at) => (entries[at] as { entry: T }).entry))
  }

  // Two generations: what is asked for survives, what is not is forgotten, and a hit costs one look-up.
  let young = new Map<string, R>()
  let old = new Map<string, R>()
  return (topic) => {
    const hit = young.get(topic)
    if (hit !== undefined) return hit
    const found = old.get(topic) ?? find(topic)
    if (topic.length > MAX_CACHED_LENGTH) return found
    if (young.size >= MAX_CACHED) {
      old = young
      young = new Map()
    }
    young.set(topic, found)
    return found
  }
}
