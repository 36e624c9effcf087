import type { WhatIfReply } from '@wheelhouse/contract/native/policy'

/** Examples of one change that are kept, however many parts were added up. */
const MOST_EXAMPLES = 20

/** Two parts of one replay as one answer: counts are added, of what is left to do the later part knows. */
export function addUp(before: WhatIfReply, next: WhatIfReply): WhatIfReply {
  const transitions = new Map(before.transitions.map((each) => [`${each.from} ${each.to}`, each]))
  for (const each of next.transitions) {
    const key = `${each.from} ${each.to}`
    const known = transitions.get(key)
    transitions.set(
      key,
      known
        ? {
            ...known,
            count: known.count + each.count,
            examples: mergeExamples(known.examples, each.examples),
          }
        : each,
    )
  }
  const rules = new Map(before.rules.map((each) => [each.rule, each]))
  for (const { rule, before: was, after } of next.rules) {
    const known = rules.get(rule)
    rules.set(rule, { rule, before: (known?.before ?? 0) + was, after: (known?.after ?? 0) + after })
  }
  const { newly } = before
  return {
    ...next,
    window: { from: next.window.from, until: before.window.until },
    replayed: before.replayed + next.replayed,
    skipped: before.skipped + next.skipped,
    distinct: before.distinct + next.distinct,
    tookMs: before.tookMs + next.tookMs,
    warnings: [...new Set([...before.warnings, ...next.warnings])],
    newly: {
      denied: newly.denied + next.newly.denied,
      held: newly.held + next.newly.held,
      throttled: newly.throttled + next.newly.throttled,
      allowed: newly.allowed + next.newly.allowed,
      constrained: newly.constrained + next.newly.constrained,
      loosened: newly.loosened + next.newly.loosened,
    },
    unchanged: before.unchanged + next.unchanged,
    otherRule: before.otherRule + next.otherRule,
    transitions: [...transitions.values()].toSorted((a, b) => b.count - a.count),
    rules: [...rules.values()],
    rulesOmitted: Math.max(before.rulesOmitted, next.rulesOmitted),
  }
}

type Examples = WhatIfReply['transitions'][number]['examples']

/** The same change of the same topic and principal is one example, of which more are alike. */
function mergeExamples(before: Examples, next: Examples): Examples {
  const all = new Map<string, Examples[number]>()
  for (const each of [...before, ...next]) {
    const key = JSON.stringify([each.topic, each.principal, each.before.rule, each.after.rule])
    const known = all.get(key)
    all.set(key, known ? { ...known, alike: known.alike + each.alike } : each)
  }
  return [...all.values()].slice(0, MOST_EXAMPLES)
}
