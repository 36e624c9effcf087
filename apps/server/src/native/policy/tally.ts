import type { WhatIfReply } from '@wheelhouse/contract/native/policy'
import type { Decision, DecisionName } from '../../kernel/policy/index.ts'
import { type Group, storedKey } from './decided.ts'

type Verdict = Pick<Decision, 'decision' | 'ruleId' | 'reason'>
type Transition = WhatIfReply['transitions'][number]
/** `stored` names the decision, by whose time it is completed. */
type Example = Omit<Transition['examples'][number], 'at'> & { stored: string }

const MAX_RULES = 200

/** Adds up what a draft changes. Its memory is bounded: counts by decision and rule, and so many examples of each change. */
export function openTally(examplesEach: number) {
  const transitions = new Map<
    string,
    { from: DecisionName; to: DecisionName; count: number; examples: Map<string, Example> }
  >()
  const rules = new Map<string, { before: number; after: number }>()
  const newly = { denied: 0, held: 0, throttled: 0, constrained: 0, allowed: 0, loosened: 0 }
  let unchanged = 0
  let otherRule = 0

  function rule(id: string): { before: number; after: number } {
    let found = rules.get(id)
    if (!found) {
      found = { before: 0, after: 0 }
      rules.set(id, found)
    }
    return found
  }

  return {
    add(group: Group, before: Verdict, after: Verdict): void {
      const { n } = group
      rule(before.ruleId).before += n
      rule(after.ruleId).after += n
      const [from, to] = [before.decision, after.decision]
      if (from === to) {
        unchanged += n
        if (before.ruleId !== after.ruleId) otherRule += n
        return
      }
      newly[changeOf(from, to)] += n
      const key = `${from} ${to}`
      let transition = transitions.get(key)
      if (!transition) {
        transition = { from, to, count: 0, examples: new Map() }
        transitions.set(key, transition)
      }
      transition.count += n
      show(transition.examples, group, before, after)
    },

    result: () => ({
      newly,
      unchanged,
      otherRule,
      transitions: [...transitions.values()]
        .toSorted((a, b) => b.count - a.count)
        .map(({ examples, ...rest }) => ({ ...rest, examples: [...examples.values()] })),
      rules: [...rules]
        .map(([id, counts]) => ({ rule: id, ...counts }))
        .toSorted((a, b) => b.before + b.after - (a.before + a.after) || (a.rule < b.rule ? -1 : 1))
        .slice(0, MAX_RULES),
      rulesOmitted: Math.max(0, rules.size - MAX_RULES),
    }),
  }

  /** The newest of each kind of change: what differs in nothing that is shown is counted, not repeated. */
  function show(examples: Map<string, Example>, group: Group, before: Verdict, after: Verdict): void {
    const { topic, principal, verb, job_id: jobId, n } = group
    const stored = storedKey(jobId, group.decision, group.rule_id)
    const key = JSON.stringify([topic, principal, before.ruleId, after.ruleId])
    const known = examples.get(key)
    if (known) known.alike += n
    else if (examples.size < examplesEach)
      examples.set(key, { jobId, topic, principal, verb, before: shown(before), after: shown(after), alike: n, stored })
  }
}

/** What a change means to the job. */
function changeOf(from: DecisionName, to: DecisionName): keyof WhatIfReply['newly'] {
  if (to === 'DENY') return 'denied'
  if (to === 'REQUIRE_APPROVAL') return 'held'
  if (to === 'THROTTLE') return 'throttled'
  if (from !== 'ALLOW' && from !== 'ALLOW_WITH_CONSTRAINTS') return 'allowed'
  return to === 'ALLOW' ? 'loosened' : 'constrained'
}

const shown = ({ decision, ruleId, reason }: Verdict) => ({ decision, rule: ruleId, reason })
