import { isMap, isScalar, isSeq } from 'yaml'
import type { PolicyCheckBody } from '@wheelhouse/contract/jobs/policy'
import type { CodeProblem } from '../../ui/code-editor.tsx'
import { readYaml } from '../../ui/yaml-text.ts'

/** A case that a bundle brings along: what is asked, and what must be said. */
export interface PolicyCase {
  name: string
  request: PolicyCheckBody
  expect: string
  line: number
}

export interface ReadPolicy {
  problems: CodeProblem[]
  rules: number
  cases: PolicyCase[]
}

/**
 * Reads a bundle as it was typed, as far as its form goes: the server has the last word on what it means. `tests` is a member of our own,
 * beside the rules: `- {name, request: {topic, …}, expect: deny}`.
 */
export function readPolicy(text: string): ReadPolicy {
  const { document, problems, place } = readYaml(text)
  if (problems.length > 0) return { problems, rules: 0, cases: [] }
  if (document.contents !== null && !isMap(document.contents))
    return {
      problems: [{ line: 1, message: 'A policy is a map: version, rules …', severity: 'error' }],
      rules: 0,
      cases: [],
    }
  const rules = document.get('rules')
  const tests = document.get('tests')
  const cases: PolicyCase[] = []
  for (const item of isSeq(tests) ? tests.items : []) {
    const line = isMap(item) && item.range ? place(item.range[0]).line : 1
    const given = (isMap(item) ? item.toJS(document) : null) as {
      name?: unknown
      request?: unknown
      expect?: unknown
    } | null
    const request = given?.request as PolicyCheckBody | undefined
    if (typeof given?.name !== 'string' || typeof given.expect !== 'string' || typeof request?.topic !== 'string')
      problems.push({ line, message: 'A test needs name, request.topic and expect', severity: 'warning' })
    else cases.push({ name: given.name, request, expect: given.expect, line })
  }
  return { problems, rules: isSeq(rules) ? rules.items.length : 0, cases }
}

/** Where the server says that something is wrong: `line 12, column 3: …`, or at a rule by its id. */
export function problemOf(message: string, text: string): CodeProblem {
  const place = /line (\d+)(?:,? column (\d+))?/i.exec(message)
  if (place) {
    return { line: Number(place[1]), ...(place[2] ? { column: Number(place[2]) } : {}), message, severity: 'error' }
  }
  const rule = /rules?\[(\d+)\]/.exec(message)
  return { line: rule ? lineOfRule(text, Number(rule[1])) : 1, message, severity: 'error' }
}

function lineOfRule(text: string, index: number): number {
  const { document, place } = readYaml(text)
  const rules = document.get('rules')
  const item = isSeq(rules) ? rules.items[index] : undefined
  const range = isMap(item) || isScalar(item) ? item.range : undefined
  return range ? place(range[0]).line : 1
}

export const FIRST_BUNDLE = `# A bundle of your own. Bundles whose id begins with secops/ are asked before packs and the default policy;
# the first rule that matches decides. Nothing here is in force before it is published.
version: "1"

rules:
  - id: no-deletes-by-services
    match:
      topics: ["job.*.delete"]
      actor_types: [service]
    decision: require_approval
    reason: a service asks to delete something

# Cases that must stay true: they run here on every change.
tests:
  - name: a service that deletes is asked
    request: { topic: job.files.delete, meta: { actor_type: service } }
    expect: require_approval
  - name: a person may
    request: { topic: job.files.delete, meta: { actor_type: human } }
    expect: allow
`
