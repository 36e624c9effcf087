import { normal } from './facts.ts'
import type { Match } from './match.ts'
import type { Input } from './request.ts'
import type { CompiledRule, RuleKey } from './snapshot.ts'
import { topicIndex } from './topics.ts'

const KINDS: readonly RuleKey['kind'][] = ['capability', 'actorId', 'packId', 'riskTags', 'tenant']

/** The most telling field that a match lists, or null when it lists none. */
export function ruleKey(match: Match): RuleKey | null {
  const lists = {
    capability: match.capabilities,
    actorId: match.actorIds,
    packId: match.packIds,
    riskTags: match.riskTags,
    tenant: match.tenants,
  }
  const kind = KINDS.find((name) => lists[name].length > 0)
  return kind ? { kind, values: [...new Set(lists[kind].map(normal))].filter((value) => value !== '') } : null
}

interface Filed {
  /** Rules that no field files: always looked at. */
  readonly rest: readonly CompiledRule[]
  readonly drawers: readonly { kind: RuleKey['kind']; rules: ReadonlyMap<string, readonly CompiledRule[]> }[]
}

/**
 * Finds the rules that can match a request, in their order, without looking at the others: by topic, then by the value of
 * one listed field. It may give a rule that does not match, never leave out one that does.
 */
export function ruleIndex(rules: readonly CompiledRule[]): (input: Input) => readonly CompiledRule[] {
  const find = topicIndex(
    rules.map((rule) => ({ topics: rule.topics, entry: rule })),
    file,
  )
  return (input) => {
    const { rest, drawers } = find(input.topic)
    let found: CompiledRule[] | undefined
    for (const { kind, rules: drawer } of drawers) {
      if (kind === 'riskTags') {
        for (const tag of input.riskTags) found = add(found, drawer.get(tag))
      } else {
        found = add(found, drawer.get(input[kind]))
      }
    }
    // A rule filed under two tags comes twice; the second look changes nothing.
    return found ? found.concat(rest).sort((a, b) => a.order - b.order) : rest
  }
}

function add(found: CompiledRule[] | undefined, more: readonly CompiledRule[] | undefined): CompiledRule[] | undefined {
  if (!more) return found
  return found ? found.concat(more) : [...more]
}

function file(rules: readonly CompiledRule[]): Filed {
  const drawers = KINDS.map((kind) => ({ kind, rules: new Map<string, CompiledRule[]>() }))
  const rest: CompiledRule[] = []
  for (const rule of rules) {
    const drawer = drawers.find(({ kind }) => kind === rule.key?.kind)
    if (!rule.key || !drawer) rest.push(rule)
    for (const value of rule.key?.values ?? []) {
      const known = drawer?.rules.get(value)
      if (known) known.push(rule)
      else drawer?.rules.set(value, [rule])
    }
  }
  return { rest, drawers: drawers.filter(({ rules: filed }) => filed.size > 0) }
}
