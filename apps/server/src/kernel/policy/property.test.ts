import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { compilePolicy, evaluate, explain } from './index.ts'
import type { PolicyRequest, PolicySource } from './index.ts'

// A second reading of jobs.md 20.2 to 20.4, written as plainly as possible: no index, no compilation, no shared code.

interface RuleText {
  id: string
  decision: 'allow' | 'deny' | 'require_approval' | 'throttle' | 'allow_with_constraints'
  match: {
    tenants?: string[]
    topics?: string[]
    capabilities?: string[]
    risk_tags?: string[]
    requires?: string[]
    pack_ids?: string[]
    actor_ids?: string[]
    actor_types?: string[]
    labels?: Record<string, string>
    secrets_present?: boolean
    facts?: Record<string, string | string[]>
  }
}
interface File {
  id: string
  rules: RuleText[]
}
type Asked = PolicyRequest & { tenant: string; labels: Record<string, string>; facts: Record<string, string> }

const ORDER = ['allow', 'allow_with_constraints', 'throttle', 'require_approval', 'deny']
const NAMES: Record<string, string> = {
  allow: 'ALLOW',
  deny: 'DENY',
  require_approval: 'REQUIRE_APPROVAL',
  throttle: 'THROTTLE',
  allow_with_constraints: 'ALLOW_WITH_CONSTRAINTS',
}

function fits(rule: RuleText, asked: Asked): boolean {
  const { match } = rule
  const meta = asked.meta ?? {}
  const same = (list: string[] | undefined, value: string | null | undefined) =>
    !list?.length || (!!value && list.some((entry) => entry.toLowerCase() === value.toLowerCase()))
  const glob = (pattern: string) =>
    new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '[^/]*').replaceAll('?', '[^/]')}$`)
  const tags = meta.riskTags ?? []
  const secrets = asked.labels['secrets_present'] === 'true' || tags.includes('secrets')
  return (
    same(match.tenants, asked.tenant) &&
    (!match.topics?.length || match.topics.some((pattern) => glob(pattern).test(asked.topic))) &&
    same(match.capabilities, meta.capability) &&
    same(match.pack_ids, meta.packId) &&
    same(match.actor_ids, meta.actorId || asked.principalId) &&
    same(match.actor_types, meta.actorType) &&
    (!match.risk_tags?.length || match.risk_tags.some((tag) => tags.includes(tag))) &&
    (!match.requires?.length || match.requires.every((entry) => (meta.requires ?? []).includes(entry))) &&
    Object.entries(match.labels ?? {}).every(([key, value]) => asked.labels[key] === value) &&
    (match.secrets_present === undefined || match.secrets_present === secrets) &&
    Object.entries(match.facts ?? {}).every(([key, value]) => [value].flat().includes(asked.facts[key] ?? 'absent'))
  )
}

function reference(files: File[], asked: Asked): { decision: string; ruleId: string } {
  const standing = (id: string) => (id === 'base' ? 0 : id.startsWith('secops/') ? 1 : 2)
  for (const level of [0, 1, 2]) {
    const answers = files
      .filter(({ id }) => standing(id) === level)
      .sort((a, b) => (a.id < b.id ? -1 : 1))
      .flatMap(({ rules }) => rules.find((rule) => fits(rule, asked)) ?? [])
    const strictest = answers.reduce<RuleText | undefined>(
      (best, rule) => (!best || ORDER.indexOf(rule.decision) > ORDER.indexOf(best.decision) ? rule : best),
      undefined,
    )
    if (strictest) return { decision: NAMES[strictest.decision] ?? '', ruleId: strictest.id }
  }
  return { decision: 'ALLOW', ruleId: '' }
}

const pick = (...values: string[]) => fc.constantFrom(...values)
const some = (values: fc.Arbitrary<string>) => fc.array(values, { maxLength: 3 })
const rule: fc.Arbitrary<Omit<RuleText, 'id'>> = fc.record({
  decision: fc.constantFrom('allow', 'deny', 'require_approval', 'throttle', 'allow_with_constraints'),
  match: fc.record(
    {
      tenants: some(pick('a', 'B')),
      topics: some(pick('job.*', 'job.a', 'job.a.*', 'job.?', 'job.b*', 'job.a.b', '*')),
      capabilities: some(pick('read', 'Write')),
      risk_tags: some(pick('prod', 'secrets')),
      requires: some(pick('gpu', 'net')),
      pack_ids: some(pick('p', 'q')),
      actor_ids: some(pick('bob', 'eve')),
      actor_types: some(pick('human', 'service')),
      labels: fc.dictionary(pick('env', 'team'), pick('x', 'y'), { maxKeys: 2 }),
      secrets_present: fc.boolean(),
      facts: fc.dictionary(
        pick('host', 'zone'),
        fc.oneof(pick('h1', 'h2'), fc.array(pick('h1', 'h2'), { minLength: 1 })),
        {
          maxKeys: 1,
        },
      ),
    },
    { requiredKeys: [] },
  ),
})
const files: fc.Arbitrary<File[]> = fc
  .uniqueArray(
    fc.tuple(
      pick('base', 'secops/a', 'secops/b', 'acme/a', 'acme/b', 'default', 'zz/z'),
      fc.array(rule, { minLength: 1, maxLength: 8 }),
    ),
    { selector: ([id]) => id, maxLength: 5 },
  )
  .map((entries) =>
    entries.map(([id, rules]) => ({ id, rules: rules.map((found, at) => ({ id: `${id}-${at}`, ...found })) })),
  )
const asked: fc.Arbitrary<Asked> = fc.record({
  topic: pick('job.a', 'job.b', 'job.a.b', 'job.bb', 'job.c/d'),
  jobId: fc.constant('j'),
  tenant: pick('a', 'b', 'c'),
  principalId: pick('bob', 'ann'),
  labels: fc.dictionary(pick('env', 'team', 'secrets_present'), pick('x', 'y', 'true'), { maxKeys: 3 }),
  facts: fc.dictionary(pick('host', 'zone'), pick('h1', 'h2'), { maxKeys: 2 }),
  meta: fc.record({
    actorId: pick('eve', ''),
    actorType: pick('human', 'service', ''),
    capability: pick('read', 'write', ''),
    packId: pick('p', ''),
    riskTags: some(pick('prod', 'secrets', 'other')),
    requires: some(pick('gpu', 'net')),
  }),
})

test('the compiled policy answers as a plain reading of the document does', () => {
  fc.assert(
    fc.property(files, fc.array(asked, { minLength: 1, maxLength: 12 }), (policies, requests) => {
      const sources: PolicySource[] = policies.map(({ id, rules }) => ({
        id,
        content: JSON.stringify({ rules }),
        enabled: true,
      }))
      const snapshot = compilePolicy(sources)
      for (const request of requests) {
        const expected = policies.length === 0 ? { decision: 'DENY', ruleId: '' } : reference(policies, request)
        const { decision, ruleId, approvalRequired, approvalRef } = evaluate(snapshot, request)
        expect({ decision, ruleId }).toEqual(expected)
        expect({ approvalRequired, approvalRef }).toEqual(
          decision === 'REQUIRE_APPROVAL'
            ? { approvalRequired: true, approvalRef: 'j' }
            : { approvalRequired: false, approvalRef: '' },
        )
        const explained = explain(snapshot, request)
        expect(explained.decision).toEqual(evaluate(snapshot, request))
        if (ruleId !== '') expect(explained.trace).toContainEqual({ rule_id: ruleId, matched: true })
      }
    }),
    { numRuns: 600 },
  )
})

test('more distinct topics than are remembered still get their own answers', () => {
  const rules = Array.from({ length: 50 }, (_, at) => ({
    id: `r${at}`,
    match: { topics: [`job.${at}.*`] },
    decision: 'deny',
  }))
  const snapshot = compilePolicy([{ id: 'base', content: JSON.stringify({ rules }), enabled: true }])
  for (let round = 0; round < 2; round++) {
    for (let at = 0; at < 3000; at++) {
      const expected = at % 60 < 50 ? `r${at % 60}` : ''
      expect(evaluate(snapshot, { topic: `job.${at % 60}.${at}` }).ruleId).toBe(expected)
    }
  }
})
