import { describe, expect, test } from 'vitest'
import {
  PolicySourceError,
  checkResponse,
  compilePolicy,
  constraintsRecord,
  contentHash,
  decisionRecord,
  evaluate,
  explain,
  jobHash,
  listRules,
  simulate,
} from './index.ts'
import type { PolicySource } from './index.ts'

const source = (id: string, content: string, enabled = true): PolicySource => ({ id, content, enabled })
const FULL = `
rules:
  - id: full
    decision: require_approval
    reason: ask first
    constraints:
      budgets: {max_runtime_ms: 90000, max_retries: 2, max_artifact_bytes: 9007199254740991, max_concurrent_jobs: 0}
      sandbox: {isolated: true, network_allowlist: [example.org]}
      toolchain: {allowed_tools: [git]}
      diff: {max_files: 3, deny_path_globs: ["*.pem"]}
      redaction_level: strict
    remediations:
      - {id: smaller, title: Ask for less, replacement_topic: job.b, add_labels: {scope: one}, remove_labels: [all]}
`
const full = evaluate(compilePolicy([source('secops/full', FULL)]), { topic: 'job.a', jobId: 'j-1' })

describe('the forms of an answer', () => {
  test('protobuf JSON (jobs.md 10)', () => {
    expect(checkResponse(full)).toEqual({
      decision: 'DECISION_TYPE_REQUIRE_HUMAN',
      reason: 'ask first',
      redactedContextPtr: '',
      policySnapshot: full.snapshot,
      ruleId: 'full',
      constraints: {
        budgets: {
          maxRuntimeMs: '90000',
          maxRetries: 2,
          maxArtifactBytes: '9007199254740991',
          maxConcurrentJobs: 0,
        },
        sandbox: { isolated: true, networkAllowlist: ['example.org'], fsReadOnly: [], fsReadWrite: [] },
        toolchain: { allowedTools: ['git'], allowedCommands: [] },
        diff: { maxFiles: 3, maxLines: 0, denyPathGlobs: ['*.pem'] },
        redactionLevel: 'strict',
      },
      approvalRequired: true,
      approvalRef: 'j-1',
      remediations: [
        {
          id: 'smaller',
          title: 'Ask for less',
          summary: '',
          replacementTopic: 'job.b',
          replacementCapability: '',
          addLabels: { scope: 'one' },
          removeLabels: ['all'],
        },
      ],
    })
  })

  test('absent parts of constraints are null on the wire', () => {
    const limited = evaluate(compilePolicy([source('base', 'rules: [{constraints: {redaction_level: low}}]')]), {
      topic: 'job.a',
    })
    expect(checkResponse(limited)).toMatchObject({
      decision: 'DECISION_TYPE_ALLOW_WITH_CONSTRAINTS',
      constraints: { budgets: null, sandbox: null, toolchain: null, diff: null, redactionLevel: 'low' },
    })
  })

  test('the stored record (jobs.md 5.1) leaves out what is empty', () => {
    expect(decisionRecord(full, { jobHash: 'h', checkedAtUs: 1_700_000_000_000_000 })).toEqual({
      decision: 'REQUIRE_APPROVAL',
      reason: 'ask first',
      rule_id: 'full',
      policy_snapshot: full.snapshot,
      constraints: {
        budgets: { max_runtime_ms: 90000, max_retries: 2, max_artifact_bytes: 9007199254740991 },
        sandbox: { isolated: true, network_allowlist: ['example.org'] },
        toolchain: { allowed_tools: ['git'] },
        diff: { max_files: 3, deny_path_globs: ['*.pem'] },
        redaction_level: 'strict',
      },
      approval_required: true,
      approval_ref: 'j-1',
      job_hash: 'h',
      remediations: [
        {
          id: 'smaller',
          title: 'Ask for less',
          replacement_topic: 'job.b',
          add_labels: { scope: 'one' },
          remove_labels: ['all'],
        },
      ],
      checked_at: 1_700_000_000_000_000,
    })
    const allowed = evaluate(compilePolicy([source('base', 'version: 1')]), { topic: 'job.a' })
    expect(decisionRecord(allowed)).toEqual({ decision: 'ALLOW', policy_snapshot: allowed.snapshot })
    if (full.constraints) expect(constraintsRecord(full.constraints)).not.toHaveProperty('budgets.max_concurrent_jobs')
  })

  test('a decision survives storage as JSON', () => {
    expect(JSON.parse(JSON.stringify(full))).toEqual(full)
  })
})

describe('explain', () => {
  const file = `rules:
  - {id: one, match: {topics: [job.b]}, decision: deny}
  - {id: two, match: {labels: {env: prod}, risk_tags: [write]}, decision: deny}
  - {id: three, match: {risk_tags: [write]}, decision: require_approval, reason: writes ask, approval: {required: 2, roles: [operator], allow_self: false, expires_minutes: 60}}
  - {id: four, decision: deny}`
  const snapshot = compilePolicy([source('secops/x', file)])

  test('names for each rule what it failed on, up to the one that decided', () => {
    const found = explain(snapshot, {
      topic: 'job.a',
      jobId: 'j',
      labels: { env: 'prod' },
      meta: { riskTags: ['WRITE '] },
    })
    expect(found.trace).toEqual([
      { rule_id: 'one', matched: false, failed_on: 'topics' },
      { rule_id: 'two', matched: true },
    ])
    const held = explain(snapshot, { topic: 'job.a', meta: { riskTags: ['write'] } })
    expect(held.trace).toEqual([
      { rule_id: 'one', matched: false, failed_on: 'topics' },
      { rule_id: 'two', matched: false, failed_on: 'labels.env' },
      { rule_id: 'three', matched: true },
    ])
    expect(held.why).toBe(
      'Held by rule "three" of policy secops/x: writes ask. It goes on when 2 people with role operator, other than who asked, approve it within 60 minutes.',
    )
  })

  test('says why in every case', () => {
    const why = (content: string, config?: unknown) =>
      explain(compilePolicy([source('p/x', content)]), { topic: 'job.a', effectiveConfig: config }).why
    expect(explain(undefined, { topic: 'job.a' }).why).toBe('Denied: no policy loaded.')
    expect(why('version: 1')).toBe('Allowed: no rule matched, and the policy allows what no rule forbids.')
    expect(why('default_decision: deny')).toBe('Denied: no rule matched, and the policy denies what no rule allows.')
    expect(why('rules: [{id: r}]')).toBe('Allowed by rule "r" of policy p/x.')
    expect(why('rules: [{id: r, constraints: {redaction_level: x}}]')).toBe(
      'Allowed by rule "r" of policy p/x, within the limits that it sets.',
    )
    expect(why('rules: [{id: r, decision: throttle, reason: busy}]')).toBe(
      'Waiting by rule "r" of policy p/x: busy. It is decided again every few seconds.',
    )
    expect(why('rules: [{id: r, decision: deny, reason: no, remediations: [{title: Use b}, {summary: or c}]}]')).toBe(
      'Denied by rule "r" of policy p/x: no. Instead: Use b; or c.',
    )
    expect(why('rules: [{id: r}]', { safety: { denied_topics: ['job.a'] } })).toBe(
      'Denied: topic "job.a" is denied by the effective config. This overrides rule "r" of p/x.',
    )
  })

  test('the trace is bounded and keeps what matched', () => {
    const rules = Array.from({ length: 500 }, (_, at) => ({
      id: `r${at}`,
      match: { topics: ['job.b'] },
      decision: 'deny',
    }))
    const many = compilePolicy([
      source('base', JSON.stringify({ rules: [...rules, { id: 'last', decision: 'deny' }] })),
    ])
    const found = explain(many, { topic: 'job.a' })
    expect(found.trace).toHaveLength(200)
    expect(found.trace.at(-1)).toEqual({ rule_id: 'last', matched: true })
    expect(found.omitted).toBe(301)
  })
})

describe('simulate', () => {
  const stored = [
    source('base', 'rules: [{id: base, decision: throttle}]'),
    source('secops/a', 'rules: [{id: a, decision: deny}]', false),
    source('acme/p', 'rules: [{id: p, decision: require_approval}]'),
  ]
  const run = (id: string, content?: string) => simulate(stored, { id, content }, { topic: 'job.a' }).decision

  test('leaves the base out and takes the bundles as they are', () => {
    expect(run('secops/a')).toMatchObject({ ruleId: 'p', snapshot: expect.stringMatching(/^cfg:/) })
  })
  test('puts the content in place of the bundle, enabled, also of one that is not stored', () => {
    expect(run('secops/a', 'rules: [{id: new}]').ruleId).toBe('new')
    expect(run('secops/z', 'rules: [{id: z}]').ruleId).toBe('z')
    expect(stored[1]?.enabled).toBe(false)
  })
  test('refuses content that does not parse', () => {
    expect(() => run('secops/a', 'rules: 5')).toThrow(PolicySourceError)
  })
})

describe('hashes', () => {
  const request = {
    topic: 'job.a',
    env: { A: '1' },
    labels: { team: 'x' },
    meta: { capability: 'c', labels: { team: 'x' } },
  }
  test('a job hash ignores what approval and transport add, and the order of keys', () => {
    const hash = jobHash(request)
    expect(hash).toMatch(/^[0-9a-f]{64}$/)
    expect(
      jobHash({
        meta: { labels: { team: 'x', approval_note: 'n' }, capability: 'c' },
        labels: { approval_granted: 'true', Approval_Reason: 'r', 'cordum.bus_msg_id': 'm', team: 'x' },
        env: { CORDUM_EFFECTIVE_CONFIG: '{}', A: '1' },
        topic: 'job.a',
      }),
    ).toBe(hash)
    expect(jobHash({ topic: 'job.a', labels: { approval_granted: 'true' } })).toBe(jobHash({ topic: 'job.a' }))
  })
  test.each([
    { ...request, topic: 'job.b' },
    { ...request, env: { A: '2' } },
    { ...request, labels: { team: 'y' } },
    { ...request, labels: { team: 'x', approvals: '1' } },
    { ...request, meta: { capability: 'd', labels: { team: 'x' } } },
    { ...request, budget: { deadline_ms: 1 } },
  ])('a job hash changes with %j', (changed) => {
    expect(jobHash(changed)).not.toBe(jobHash(request))
  })
  test('content hashes are of canonical JSON', () => {
    expect(contentHash({ b: 1, a: [true, null] })).toBe(contentHash({ a: [true, null], b: 1 }))
    expect(() => contentHash(undefined)).toThrow(TypeError)
  })
})

test('the list of rules shows base, bundles and tenant lists with their source, and what does not parse', () => {
  const sources = [
    {
      ...source('acme/edge/rules', 'rules: [{id: p, decision: deny}, {decision: allow}]'),
      version: '1.2',
      sha256: 'abc',
    },
    source('base', 'rules: [{id: b, match: {topics: [job.a]}}]'),
    source('lists', 'tenants: {t: {deny_topics: [job.x], allow_topics: [job.y]}}'),
    source('secops/off', 'rules: [{id: off}]', false),
    source('zz/broken', 'rules: 5'),
  ]
  const listed = listRules(sources, false)
  expect(listed.items).toEqual([
    { id: 'b', match: { topics: ['job.a'] }, source: { fragment_id: 'base' } },
    {
      id: 'p',
      decision: 'deny',
      source: {
        fragment_id: 'acme/edge/rules',
        pack_id: 'acme',
        overlay_name: 'edge/rules',
        version: '1.2',
        sha256: 'abc',
      },
    },
    expect.objectContaining({ id: 'acme/edge/rules#2', decision: 'allow' }),
    {
      id: 'legacy:t:deny:1',
      match: { tenants: ['t'], topics: ['job.x'] },
      decision: 'deny',
      source: { fragment_id: 'lists' },
    },
    {
      id: 'legacy:t:allow:1',
      match: { tenants: ['t'], topics: ['job.y'] },
      decision: 'allow',
      source: { fragment_id: 'lists' },
    },
  ])
  expect(listed.errors).toEqual([{ fragment_id: 'zz/broken', error: 'line 1, column 8: rules: must be a list' }])
  expect(listRules(sources, true).items.map(({ id }) => id)).toContain('off')
})
