import { describe, expect, test } from 'vitest'
import { checkResponse, compilePolicy, evaluate } from './index.ts'
import type { Decision, PolicyRequest, PolicySource } from './index.ts'

const source = (id: string, content: string, enabled = true): PolicySource => ({ id, content, enabled })
const decide = (content: string, request: Partial<PolicyRequest>): Decision =>
  evaluate(compilePolicy([source('base', content)]), { topic: 'job.a', ...request })

/** Whether a lone deny rule with this match hits. */
const hits = (match: string, request: Partial<PolicyRequest>): boolean =>
  decide(`rules: [{id: r, decision: deny, match: {${match}}}]`, request).decision === 'DENY'

describe('match (jobs.md 20.2)', () => {
  const meta = (members: NonNullable<PolicyRequest['meta']>) => ({ meta: members })
  const cases: [string, Partial<PolicyRequest>, boolean][] = [
    ['', {}, true],
    ['tenants: [], topics: []', {}, true],
    ['tenants: null', {}, true],
    ['tenants: [acme]', { tenant: 'acme' }, true],
    ['tenants: [" ACME "]', { tenant: 'acme' }, true],
    ['tenants: [acme]', { tenant: ' Acme ' }, true],
    ['tenants: [acme, other]', { tenant: 'third' }, false],
    ['tenants: [default]', {}, true],
    ['tenants: [meta]', meta({ tenantId: 'meta' }), true],
    ['capabilities: [code.review]', meta({ capability: 'CODE.review' }), true],
    ['capabilities: [code.review]', {}, false],
    ['capabilities: [""]', {}, false],
    ['pack_ids: [acme]', meta({ packId: 'Acme' }), true],
    ['pack_ids: [acme]', meta({ packId: 'acme2' }), false],
    ['actor_ids: [bob]', meta({ actorId: 'bob' }), true],
    ['actor_ids: [bob]', { principalId: 'Bob' }, true],
    ['actor_ids: [bob]', { principalId: 'bob', meta: { actorId: 'eve' } }, false],
    ['actor_types: [human]', meta({ actorType: 'human' }), true],
    ['actor_types: [human]', meta({ actorType: 'service' }), false],
    ['actor_types: [human]', {}, false],
    ['topics: [job.a]', { topic: 'job.a' }, true],
    ['topics: [job.a]', { topic: 'job.A' }, false],
    ['topics: [job.*]', { topic: 'job.a.b.c' }, true],
    ['topics: [job.*]', { topic: 'job.a/b' }, false],
    ['topics: [job.?]', { topic: 'job.a' }, true],
    ['topics: ["job.[ab]"]', { topic: 'job.b' }, true],
    ['topics: ["job.["]', { topic: 'job.[' }, false],
    ['topics: ["job.[", job.a]', { topic: 'job.a' }, true],
    ['risk_tags: [write, prod]', meta({ riskTags: ['read', 'PROD'] }), true],
    ['risk_tags: [write]', meta({ riskTags: ['read'] }), false],
    ['risk_tags: [write]', {}, false],
    ['requires: [gpu, net]', meta({ requires: ['net', 'gpu', 'x'] }), true],
    ['requires: [gpu, net]', meta({ requires: ['gpu'] }), false],
    ['requires: [gpu]', {}, false],
    ['labels: {a: "1", b: "2"}', { labels: { a: '1', b: '2', c: '3' } }, true],
    ['labels: {a: "1", b: "2"}', { labels: { a: '1' } }, false],
    ['labels: {a: "x"}', { labels: { a: 'X' } }, false],
    ['labels: {dry_run: true}', { labels: { dry_run: 'true' } }, true],
    ['labels: {a: "1"}', meta({ labels: { a: '1' } }), true],
    ['labels: {a: "1"}', { labels: { a: '2' }, meta: { labels: { a: '1' } } }, false],
    ['labels: {toString: x}', { labels: {} }, false],
    ['secrets_present: true', { labels: { secrets_present: 'yes' } }, true],
    ['secrets_present: true', { labels: { secrets_present: 'TRUE' } }, true],
    ['secrets_present: true', { labels: { secrets_present: 'no' } }, false],
    ['secrets_present: true', meta({ riskTags: ['secrets'] }), true],
    ['secrets_present: true', { labels: { secrets_present: 'false' }, meta: { riskTags: ['secrets'] } }, true],
    ['secrets_present: true', {}, false],
    ['secrets_present: false', {}, true],
    ['secrets_present: false', meta({ riskTags: ['secrets'] }), false],
    ['mcp: {allow_tools: [x]}', {}, true],
    ['mcp: {allow_tools: [x]}', { labels: { 'mcp.tool': 'X' } }, true],
    ['mcp: {allow_tools: [x]}', { labels: { mcp_tool: 'y' } }, false],
    ['mcp: {deny_tools: [y]}', { labels: { mcpTool: 'y' } }, false],
    ['mcp: {deny_tools: [y]}', { labels: { mcpTool: 'z' } }, true],
    ['mcp: {allow_tools: [x]}', { labels: { 'mcp.server': 's' } }, false],
    ['mcp: {allow_servers: [s], deny_resources: [r]}', { labels: { 'mcp.server': 's', 'mcp.resource': 'r' } }, false],
    ['mcp: {deny_actions: [drop]}', { labels: { mcp_action: 'Drop' } }, false],
    ['tenants: [acme], topics: [job.b]', { tenant: 'acme' }, false],
  ]
  test.each(cases)('match {%s} on %j is %j', (match, request, expected) => {
    expect(hits(match, request)).toBe(expected)
  })
})

describe('match beyond the document', () => {
  const cases: [string, Partial<PolicyRequest>, boolean][] = [
    ['verbs: ["command:execute"]', { verb: 'command:execute' }, true],
    ['verbs: ["command:*"]', { verb: 'Command:execute' }, true],
    ['verbs: ["command:*"]', { verb: 'instance:suspend' }, false],
    ['verbs: ["*"]', {}, false],
    ['facts: {env: production}', { facts: { env: 'Production ' } }, true],
    ['facts: {env: [production, staging]}', { facts: { env: 'staging' } }, true],
    ['facts: {env: production}', { facts: {} }, false],
    ['facts: {env: production}', {}, false],
    ['facts: {instance.labels.env: prod}', { facts: { instance: { labels: { env: 'prod' } } } }, true],
    ['facts: {instance.labels.env: prod}', { facts: { 'instance.labels.env': 'prod' } }, true],
    ['facts: {i.labels.k8s.io/env: prod}', { facts: { i: { labels: { 'k8s.io/env': 'prod' } } } }, true],
    ['facts: {i.labels.env: prod}', { facts: { i: [{ labels: { env: 'dev' } }, { labels: { env: 'prod' } }] } }, true],
    ['facts: {i.labels.env: prod}', { facts: { i: [{ labels: { env: 'dev' } }] } }, false],
    ['facts: {i.tags: web}', { facts: { i: { tags: ['db', 'web'] } } }, true],
    ['facts: {reach.instances: {gt: 50}}', { facts: { reach: { instances: 51 } } }, true],
    ['facts: {reach.instances: {gt: 50}}', { facts: { reach: { instances: 50 } } }, false],
    ['facts: {n: {gte: 1, lt: 3}}', { facts: { n: 2 } }, true],
    ['facts: {n: {gte: 1, lt: 3}}', { facts: { n: 3 } }, false],
    ['facts: {n: {gte: 4, lt: 6}}', { facts: { n: [1, 9] } }, false],
    ['facts: {n: {lte: 3}}', { facts: { n: '3' } }, true],
    ['facts: {n: {lte: 3}}', { facts: { n: '' } }, false],
    ['facts: {n: {lte: 3}}', { facts: { n: 'many' } }, false],
    ['facts: {n: 3}', { facts: { n: 3 } }, true],
    ['facts: {n: "3"}', { facts: { n: 3 } }, true],
    ['facts: {on: true}', { facts: { on: true } }, true],
    ['facts: {host: {like: "db-*"}}', { facts: { host: 'DB-7' } }, true],
    ['facts: {host: {like: ["web-*", "db-*"]}}', { facts: { host: 'app' } }, false],
    ['facts: {env: {not: production}}', { facts: { env: 'dev' } }, true],
    ['facts: {env: {not: production}}', { facts: {} }, true],
    ['facts: {env: {not: [production, prod]}}', { facts: { env: ['dev', 'prod'] } }, false],
    ['facts: {env: {exists: true}}', { facts: { env: '' } }, true],
    ['facts: {env: {exists: true}}', { facts: { env: null } }, false],
    ['facts: {env: {exists: false}}', { facts: {} }, true],
    ['facts: {constructor: x}', { facts: {} }, false],
    ['command: ["rm *"]', { facts: { command: 'rm   -rf  /x/y' } }, true],
    ['command: ["rm *"]', { facts: { command: 'ls; rm x' } }, false],
    ['command: ["re:\\\\brm\\\\s"]', { facts: { command: 'ls; rm x' } }, true],
    ['command: ["cmd:rm "]', { facts: { command: 'ls && sudo -n env A=1 /usr/bin/rm x' } }, true],
    ['command: ["cmd:rm "]', { facts: { command: 'echo rm x' } }, false],
    ['command: ["cmd:rm "]', { facts: { command: ['bash', '-lc', 'rm x'] } }, true],
    ['command: ["cmd:rm "]', { facts: { command: 'echo a\nrm x' } }, true],
    ['command: ["cmd:rm -rf x"]', { facts: { command: 'rm \\\n  -rf x' } }, true],
    ['command: ["cmd:rm x"]', { facts: { command: "r''m${IFS}x" } }, true],
    ['command: ["cmd:rm x"]', { facts: { command: 'timeout -k 5 10 rm x' } }, true],
    ['command: ["cmd:rm x"]', { facts: { command: 'sudo -u root nice -n 10 rm x' } }, true],
    ['command: ["cmd:rm x"]', { facts: { command: 'if true; then rm x; fi' } }, true],
    ['command: ["cmd:rm x"]', { facts: { command: 'bash -o pipefail -c "ls | xargs -n 1 rm x"' } }, true],
    ['command: ["*"]', { facts: {} }, false],
    ['command: ["*"]', { facts: { command: 7 } }, false],
  ]
  test.each(cases)('match {%s} on %j is %j', (match, request, expected) => {
    expect(hits(match, request)).toBe(expected)
  })
})

describe('evaluation (jobs.md 20.3)', () => {
  test('the tenant is the request’s, else the metadata’s, else the file’s, else "default"', () => {
    const file = (tenant: string) =>
      `default_tenant: house\nrules: [{id: r, decision: deny, match: {tenants: [${tenant}]}}]`
    expect(decide(file('a'), { tenant: 'a', meta: { tenantId: 'b' } }).ruleId).toBe('r')
    expect(decide(file('b'), { tenant: '', meta: { tenantId: 'b' } }).ruleId).toBe('r')
    expect(decide(file('house'), {}).ruleId).toBe('r')
    expect(decide('rules: [{id: r, decision: deny, match: {tenants: [default]}}]', {}).ruleId).toBe('r')
  })

  test('an empty topic and one without the prefix are denied without a snapshot', () => {
    for (const snapshot of [compilePolicy([source('base', 'version: 1')]), undefined]) {
      expect(evaluate(snapshot, { topic: '' })).toMatchObject({
        decision: 'DENY',
        reason: 'missing topic',
        snapshot: '',
      })
      expect(evaluate(snapshot, { topic: 'task.a' })).toMatchObject({
        decision: 'DENY',
        reason: 'unsupported topic',
        snapshot: '',
      })
    }
  })

  test('without a policy everything is denied, and says so', () => {
    expect(evaluate(undefined, { topic: 'job.a' })).toMatchObject({
      decision: 'DENY',
      reason: 'no policy loaded',
      snapshot: '',
    })
    expect(compilePolicy([])).toBeUndefined()
    expect(compilePolicy([source('x', 'rules: []', false), source('y', '  \n')])).toBeUndefined()
  })

  test('the first match wins, and no match allows', () => {
    const file = `rules:
  - {id: one, match: {topics: [job.b]}, decision: deny, reason: no b}
  - {id: two, match: {topics: [job.*]}, decision: throttle, reason: slow}
  - {id: three, match: {topics: [job.a]}, decision: deny}`
    expect(decide(file, { topic: 'job.a' })).toMatchObject({ decision: 'THROTTLE', ruleId: 'two', reason: 'slow' })
    expect(decide(file, { topic: 'job.b' })).toMatchObject({ decision: 'DENY', ruleId: 'one', reason: 'no b' })
    const none = decide('rules: [{id: one, match: {topics: [job.b]}, decision: deny}]', {})
    expect(none).toMatchObject({ decision: 'ALLOW', ruleId: '', reason: '' })
    expect(none.snapshot).toMatch(/^[0-9a-f]{64}$/)
  })

  test.each([
    ['allow', 'ALLOW'],
    ['permit', 'ALLOW'],
    ['deny', 'DENY'],
    ['BLOCK', 'DENY'],
    ['require_approval', 'REQUIRE_APPROVAL'],
    ['require-approval', 'REQUIRE_APPROVAL'],
    ['require_human', 'REQUIRE_APPROVAL'],
    ['allow_with_constraints', 'ALLOW_WITH_CONSTRAINTS'],
    ['allow-with-constraints', 'ALLOW_WITH_CONSTRAINTS'],
    ['throttle', 'THROTTLE'],
  ])('decision %s answers %s', (written, expected) => {
    expect(decide(`rules: [{id: r, decision: ${written}, reason: because}]`, {}).decision).toBe(expected)
  })

  test('a rule without a decision allows; the reason of an allowance is not told', () => {
    expect(decide('rules: [{id: r, reason: because}]', {})).toMatchObject({
      decision: 'ALLOW',
      ruleId: 'r',
      reason: '',
    })
  })

  test('a refusal without a reason still says which rule', () => {
    expect(decide('rules: [{decision: deny}]', {})).toMatchObject({
      ruleId: 'base#1',
      reason: 'denied by policy rule "base#1"',
    })
  })

  test('allow with constraints is ALLOW_WITH_CONSTRAINTS, with empty ones ALLOW', () => {
    const limited = decide('rules: [{decision: allow, constraints: {budgets: {max_runtime_ms: 5}}}]', {})
    expect(limited.decision).toBe('ALLOW_WITH_CONSTRAINTS')
    expect(limited.constraints?.budgets?.maxRuntimeMs).toBe(5)
    expect(decide('rules: [{decision: allow, constraints: {}}]', {})).toMatchObject({
      decision: 'ALLOW',
      constraints: null,
    })
  })

  test('a hold carries the job as its reference and the terms of its rule', () => {
    const file = `rules:
  - decision: require_approval
    reason: ask
    constraints: {redaction_level: strict}
    approval: {required: 2, allow_self: true, roles: [security], expires_minutes: 30}`
    expect(decide(file, { jobId: 'j1' })).toMatchObject({
      decision: 'REQUIRE_APPROVAL',
      approvalRequired: true,
      approvalRef: 'j1',
      constraints: { redactionLevel: 'strict' },
      approval: { required: 2, allowSelf: true, roles: ['security'], expiresMs: 1_800_000 },
    })
    expect(decide(file, {}).approvalRef).toBe('')
  })

  test('default_decision decides what no rule matches', () => {
    expect(decide('default_decision: deny', {})).toMatchObject({ decision: 'DENY', ruleId: 'default' })
    expect(decide('default_decision: require_approval', { jobId: 'j' })).toMatchObject({
      decision: 'REQUIRE_APPROVAL',
      approvalRequired: true,
      approvalRef: 'j',
      approval: { required: 1 },
    })
    expect(decide('default_decision: deny\nrules: [{id: r, match: {topics: [job.a]}}]', {}).decision).toBe('ALLOW')
  })

  describe('tenant lists of older files', () => {
    const lists = 'tenants: {Acme: {deny_topics: [job.x.*, job.y], allow_topics: [job.*]}}'
    test('deny first, then allow, numbered from one', () => {
      expect(decide(lists, { tenant: 'acme', topic: 'job.y' })).toMatchObject({
        decision: 'DENY',
        ruleId: 'legacy:Acme:deny:2',
      })
      expect(decide(lists, { tenant: 'acme', topic: 'job.x.1' }).ruleId).toBe('legacy:Acme:deny:1')
      expect(decide(lists, { tenant: 'acme', topic: 'job.z' })).toMatchObject({
        decision: 'ALLOW',
        ruleId: 'legacy:Acme:allow:1',
      })
    })
    test('other tenants and unlisted topics are allowed', () => {
      expect(decide(lists, { tenant: 'other', topic: 'job.y' }).decision).toBe('ALLOW')
      expect(decide('tenants: {acme: {allow_topics: [job.b]}}', { tenant: 'acme' }).decision).toBe('ALLOW')
    })
    test('one rule anywhere switches them off, unless its file keeps them', () => {
      const rule = 'rules: [{id: r, match: {topics: [job.q]}, decision: deny}]'
      const with_ = (extra: string) => compilePolicy([source('base', lists), source('acme/p', `${rule}\n${extra}`)])
      const request = { tenant: 'acme', topic: 'job.y' }
      expect(evaluate(with_(''), request).decision).toBe('ALLOW')
      expect(evaluate(with_('keep_tenant_lists: true'), request).ruleId).toBe('legacy:Acme:deny:2')
      expect(evaluate(with_('keep_tenant_lists: true'), { ...request, topic: 'job.q' }).ruleId).toBe('r')
    })
    test('lists of several files are joined', () => {
      const snapshot = compilePolicy([
        source('base', 'tenants: {acme: {deny_topics: [job.a]}}'),
        source('acme/p', 'tenants: {ACME: {deny_topics: [job.b]}}'),
      ])
      expect(evaluate(snapshot, { topic: 'job.b', tenant: 'acme' }).ruleId).toBe('legacy:acme:deny:2')
    })
  })

  describe('overrides', () => {
    const ask =
      'rules: [{id: ask, decision: require_approval, constraints: {redaction_level: x}, remediations: [{id: m}]}]'
    const cleared = {
      decision: 'DENY',
      approvalRequired: false,
      approvalRef: '',
      approval: null,
      constraints: null,
      remediations: [],
    }

    test('a tenant’s MCP lists always hold, also against a rule that allows', () => {
      const file = `${ask}\ntenants: {acme: {mcp: {deny_tools: [Drop], allow_servers: [db]}}}`
      const call = (labels: Record<string, string>) => decide(file, { tenant: 'ACME', jobId: 'j', labels })
      expect(call({ 'mcp.server': 'db', 'mcp.tool': 'drop' })).toMatchObject({
        ...cleared,
        reason: 'mcp tool "drop" denied',
        ruleId: 'tenant:acme:mcp',
      })
      expect(call({ 'mcp.server': 'web' }).reason).toBe('mcp server "web" not allowed')
      expect(call({ 'mcp.tool': 'read' }).reason).toBe('mcp server "" not allowed')
      expect(call({ 'mcp.server': 'db', 'mcp.tool': 'read' }).decision).toBe('REQUIRE_APPROVAL')
      expect(call({}).decision).toBe('REQUIRE_APPROVAL')
      expect(decide(file, { tenant: 'x', labels: { mcp_tool: 'drop' } }).decision).toBe('REQUIRE_APPROVAL')
    })

    test.each([
      [{ safety: { denied_topics: ['job.a*'] } }, 'topic "job.a" is denied by the effective config'],
      [{ data: { safety: { denied_topics: ['job.a*'] } } }, 'topic "job.a" is denied by the effective config'],
      [{ safety: { allowed_topics: ['job.b'] } }, 'topic "job.a" is not allowed by the effective config'],
      [{ safety: { mcp: { deny_tools: ['t'] } } }, 'mcp tool "t" denied by the effective config'],
      [{ safety: { denied_topics: 'job.b' } }, 'effective config key safety.denied_topics is malformed'],
      [{ safety: { mcp: { allow_tools: [1] } } }, 'effective config key safety.mcp is malformed'],
      [{ safety: 'strict' }, 'effective config key safety is malformed'],
    ])('effective config %j denies and clears the hold', (effectiveConfig, reason) => {
      const found = decide(ask, { jobId: 'j', effectiveConfig, labels: { 'mcp.tool': 't' } })
      expect(found).toMatchObject({ ...cleared, reason })
    })

    test.each([
      [{}],
      [null],
      ['text'],
      [{ safety: null }],
      [{ safety: { denied_topics: ['job.b'], allowed_topics: ['job.*'], pii_redaction: true, mcp: {} } }],
      [{ safety: { allowed_topics: [] }, data: { safety: { denied_topics: ['job.*'] } } }],
    ])('effective config %j changes nothing', (effectiveConfig) => {
      expect(decide(ask, { effectiveConfig, labels: { 'mcp.tool': 't' } }).decision).toBe('REQUIRE_APPROVAL')
    })
  })
})

describe('sources (jobs.md 20.4, 20.5)', () => {
  const rule = (id: string, decision: string, extra = '') =>
    `version: v-${id}\nrules: [{id: ${id}, match: {topics: [job.a]}, decision: ${decision}}]\n${extra}`
  const run = (...sources: PolicySource[]) => evaluate(compilePolicy(sources), { topic: 'job.a' })

  test('the base wins over secops, secops over packs, whatever their names', () => {
    const pack = source('acme/p', rule('pack', 'allow'))
    const secops = source('secops/s', rule('secops', 'deny'))
    const base = source('base', rule('base', 'throttle'))
    expect(run(pack, secops, base).ruleId).toBe('base')
    expect(run(pack, secops).ruleId).toBe('secops')
    expect(run(pack).ruleId).toBe('pack')
    expect(run(pack, source('secops/s', rule('secops', 'allow'))).ruleId).toBe('secops')
  })

  test('between files of equal standing the stricter first match wins', () => {
    const files = (...decisions: string[]) =>
      decisions.map((decision, index) => source(`${'abc'[index]}/p`, rule(`${decision}-${index}`, decision)))
    expect(run(...files('allow', 'deny')).ruleId).toBe('deny-1')
    expect(run(...files('deny', 'allow')).ruleId).toBe('deny-0')
    expect(run(...files('allow', 'throttle', 'require_approval')).ruleId).toBe('require_approval-2')
    expect(run(...files('throttle', 'throttle')).ruleId).toBe('throttle-0')
  })

  test('within a file the first match wins also against a stricter one below', () => {
    const file = 'rules: [{id: free, match: {topics: [job.a]}}, {id: strict, decision: deny}]'
    expect(run(source('a/p', file), source('b/p', rule('b', 'throttle'))).ruleId).toBe('b')
    expect(run(source('a/p', file)).ruleId).toBe('free')
  })

  test('disabled files do not count, and unnamed rules are named by file and place', () => {
    expect(run(source('secops/s', rule('s', 'deny'), false), source('p/x', 'rules: [{decision: deny}]')).ruleId).toBe(
      'p/x#1',
    )
  })

  test('the default decision comes from the first file that sets one', () => {
    expect(run(source('base', 'default_decision: allow'), source('a/p', 'default_decision: deny')).decision).toBe(
      'ALLOW',
    )
    expect(run(source('base', 'version: 1'), source('a/p', 'default_decision: deny')).decision).toBe('DENY')
  })

  test('snapshot ids follow the content', () => {
    const id = (...sources: PolicySource[]) => compilePolicy(sources)?.id
    const base = source('base', 'version: v1\n')
    expect(id(base)).toMatch(/^v1:[0-9a-f]{64}$/)
    expect(id(source('base', 'rules: []'))).toMatch(/^[0-9a-f]{64}$/)
    const [a, b] = [source('a', 'rules: []'), source('b/c', 'rules: []')]
    expect(id(a, b)).toBe('cfg:cfc9fbd9c113b2e49da7545700300945390afdad2960d1c56ecaaaaacce7f3ad')
    expect(id(b, a)).toBe(id(a, b))
    expect(id(base, a, b)).toBe(`${id(base)}|${id(a, b)}`)
    expect(id(a, { ...b, enabled: false })).toBe(id(a))
    expect(id(a)).not.toBe(id(b))
  })

  test('a broken file names itself, the line and the path', () => {
    expect(() => run(source('secops/s', 'rules:\n  - decision: maybe'))).toThrow(
      'policy secops/s: line 2, column 15: rules[0].decision: "maybe" is not a decision',
    )
  })
})

test('the wire answer has every member, defaults included', () => {
  expect(checkResponse(decide('version: 1', {}))).toEqual({
    decision: 'DECISION_TYPE_ALLOW',
    reason: '',
    redactedContextPtr: '',
    policySnapshot: expect.stringMatching(/^1:[0-9a-f]{64}$/),
    ruleId: '',
    constraints: null,
    approvalRequired: false,
    approvalRef: '',
    remediations: [],
  })
})
