import { describe, expect, test } from 'vitest'
import { PolicySyntaxError, parsePolicy } from './language.ts'

const messageOf = (content: string): string => {
  try {
    parsePolicy(content)
  } catch (error) {
    if (error instanceof PolicySyntaxError) return error.message
    throw error
  }
  throw new Error('was accepted')
}

const isTwenty = (list: unknown): boolean => Array.isArray(list) && list.length === 20

describe('what a policy file may say (jobs.md 20.1)', () => {
  test('YAML and JSON read alike', () => {
    const yaml = parsePolicy('version: 2\nrules:\n  - id: a\n    match: {topics: [job.a]}\n    decision: block\n')
    const json = parsePolicy('{"version":"2","rules":[{"id":"a","match":{"topics":["job.a"]},"decision":"block"}]}')
    expect(yaml.rules[0]).toEqual({ ...json.rules[0], line: 3 })
    expect(yaml).toMatchObject({ version: '2', defaultTenant: '', defaultDecision: null, keepTenantLists: false })
  })

  test('every member of a rule is read', () => {
    const { rules, warnings } = parsePolicy(`rules:
  - id: full
    decision: require_approval
    reason: why not
    constraints:
      budgets: {max_runtime_ms: 9007199254740991, max_retries: 0, max_artifact_bytes: 5, max_concurrent_jobs: 2}
      sandbox: {isolated: true, network_allowlist: [a], fs_read_only: [/b], fs_read_write: [/c]}
      toolchain: {allowed_tools: [t], allowed_commands: [c]}
      diff: {max_files: 1, max_lines: 2, deny_path_globs: ["*.pem"]}
      redaction_level: strict
    remediations:
      - {id: r, title: T, summary: S, replacement_topic: job.b, replacement_capability: c, add_labels: {a: 1}, remove_labels: [x]}
    approval: {required: 2, roles: [operator]}`)
    expect(warnings).toEqual([])
    expect(rules[0]).toMatchObject({
      constraints: {
        budgets: { maxRuntimeMs: 9007199254740991, maxRetries: 0, maxArtifactBytes: 5, maxConcurrentJobs: 2 },
        sandbox: { isolated: true, networkAllowlist: ['a'], fsReadOnly: ['/b'], fsReadWrite: ['/c'] },
        toolchain: { allowedTools: ['t'], allowedCommands: ['c'] },
        diff: { maxFiles: 1, maxLines: 2, denyPathGlobs: ['*.pem'] },
        redactionLevel: 'strict',
      },
      remediations: [
        {
          id: 'r',
          title: 'T',
          summary: 'S',
          replacementTopic: 'job.b',
          replacementCapability: 'c',
          addLabels: { a: '1' },
          removeLabels: ['x'],
        },
      ],
      approval: { required: 2, allowSelf: null, roles: ['operator'], expiresMs: null },
    })
    expect(rules[0]?.written).toMatchObject({ id: 'full', constraints: { redaction_level: 'strict' } })
  })

  test('tenant lists are read, the unused ones too', () => {
    const { tenants } = parsePolicy(
      'tenants: {acme: {allow_topics: [a], allowed_repo_hosts: [h], denied_repo_hosts: [d], max_concurrent_jobs: 3, mcp: {allow_tools: [t]}}}',
    )
    expect(tenants.get('acme')).toMatchObject({
      allowTopics: ['a'],
      denyTopics: [],
      allowedRepoHosts: ['h'],
      deniedRepoHosts: ['d'],
      maxConcurrentJobs: 3,
      mcp: { tool: { allow: ['t'], deny: [] } },
    })
  })

  test('null counts as absent, an empty file as an empty policy', () => {
    expect(parsePolicy('rules:\n  - {id: a, match: null, reason: null, constraints: ~}').rules[0]).toMatchObject({
      reason: '',
      constraints: null,
    })
    for (const content of ['', '# nothing\n', '{}', 'rules:\ntenants:\n'])
      expect(parsePolicy(content).rules).toEqual([])
  })

  test('unquoted numbers and booleans are text where text belongs', () => {
    const policy = parsePolicy('version: 1.0\nrules: [{match: {labels: {dry_run: true, n: 010}}}]')
    expect(policy.version).toBe('1.0')
    expect(policy.rules[0]?.match.labels).toEqual([
      ['dry_run', 'true'],
      ['n', '010'],
    ])
  })

  test('anchors and aliases work', () => {
    const policy = parsePolicy('x: &topics [job.a]\nrules:\n  - match: {topics: *topics}\n  - match: {topics: *topics}')
    expect(policy.rules.map(({ match }) => match.topics)).toEqual([['job.a'], ['job.a']])
  })
})

describe('warnings', () => {
  test.each([
    ['rule: []', 'rule: unknown field, ignored'],
    ['rules: [{match: {topics: ["job.["]}, decision: deny}]', 'never matches: "job.[" has an unclosed "["'],
    ['rules: [{match: {actor_types: [robot]}, decision: deny}]', 'actor types are human and service'],
    ['rules: [{id: a, decision: deny}, {id: a, decision: deny}]', 'a rule with the id "a" stands above'],
    ['rules: [{}]', 'allows everything'],
  ])('%s', (content, message) => {
    expect(
      parsePolicy(content)
        .warnings.map((found) => `${found.path}: ${found.message}`)
        .join(),
    ).toContain(message)
  })
})

describe('what is refused, and where', () => {
  test.each([
    ['rules: 5', 'line 1, column 8: rules: must be a list'],
    ['[]', 'line 1, column 1: must be a mapping'],
    ['rules:\n  - 5', 'line 2, column 5: rules[0]: must be a mapping'],
    ['rules:\n  -\n', 'rules[0]: must be a mapping'],
    [
      'rules:\n  - desicion: deny',
      'line 2, column 15: rules[0].desicion: unknown field; known here: id, match, decision',
    ],
    ['rules:\n  - match: {topic: [a]}', 'rules[0].match.topic: unknown field'],
    ['rules:\n  - match: {topics: job.a}', 'line 2, column 21: rules[0].match.topics: must be a list'],
    ['rules: [{match: {topics: [[a]]}}]', 'rules[0].match.topics[0]: must be text'],
    ['rules: [{match: {topics: [~]}}]', 'rules[0].match.topics[0]: must not be empty'],
    ['rules: [{match: {secrets_present: maybe}}]', 'rules[0].match.secrets_present: must be true or false'],
    ['rules: [{match: {mcp: {allow_tool: [a]}}}]', 'rules[0].match.mcp.allow_tool: unknown field'],
    ['rules: [{match: {labels: [a]}}]', 'rules[0].match.labels: must be a mapping'],
    ['rules: [{decision: maybe}]', 'rules[0].decision: "maybe" is not a decision; known: allow, permit, deny'],
    ['rules: [{decision: toString}]', 'rules[0].decision: "toString" is not a decision'],
    ['rules: [{constraints: {budgets: {max_retries: -1}}}]', 'max_retries: must be an integer from 0 to 2147483647'],
    ['rules: [{constraints: {budgets: {max_retries: 1.5}}}]', 'max_retries: must be an integer'],
    ['rules: [{constraints: {budgets: {max_runtime_ms: "5"}}}]', 'max_runtime_ms: must be an integer'],
    ['rules: [{constraints: {limits: {}}}]', 'rules[0].constraints.limits: unknown field'],
    ['rules: [{remediations: [{name: x}]}]', 'rules[0].remediations[0].name: unknown field'],
    [
      'rules: [{decision: deny, approval: {required: 2}}]',
      'rules[0].approval: goes only with decision: require_approval',
    ],
    [
      'rules: [{decision: require_approval, approval: {required: 0}}]',
      'approval.required: must be an integer from 1 to 10',
    ],
    [
      'rules: [{match: {command: ["re:(a"]}}]',
      'rules[0].match.command[0]: the pattern has an unclosed "(" (at character 1)',
    ],
    ['rules: [{match: {command: ["re:(?:a{900}){900}"]}}]', 'the pattern is too large'],
    ['rules: [{match: {facts: {a: {above: 1}}}}]', 'rules[0].match.facts.a.above: unknown field'],
    ['rules: [{match: {facts: {a: {gt: x}}}}]', 'rules[0].match.facts.a.gt: must be a number'],
    ['rules: [{match: {facts: {a: }}}]', 'rules[0].match.facts.a: needs a value'],
    ['rules: [{match: {facts: {a: {}}}}]', 'rules[0].match.facts.a: needs at least one of gt'],
    ['default_decision: throttle', 'default_decision: must be allow, deny or require_approval'],
    ['tenants: {a: {topics: []}}', 'tenants.a.topics: unknown field'],
    ['tenants: {a: {max_concurrent_jobs: -1}}', 'tenants.a.max_concurrent_jobs: must be an integer from 0'],
    ['a: b\n c: d', 'line 1, column 4: Nested mappings are not allowed'],
    ['rules: []\nrules: []', 'line 2, column 1: Map keys must be unique'],
    ['rules: *nowhere', 'line 1, column 8'],
    ['{"rules": [', 'line 1'],
    ['[['.repeat(50_000), 'the file is nested too deeply'],
    [`x: ${'y'.repeat(600_000)}`, 'the file is larger than 524288 bytes'],
    [`rules:\n${'  - {decision: deny}\n'.repeat(5001)}`, 'rules: has 5001 entries; at most 5000 are allowed'],
  ])('%.60s', (content, message) => {
    expect(messageOf(content)).toContain(message)
  })

  test('all problems are told, the message names three', () => {
    const content = `rules: [${'{decision: x}, '.repeat(30)}]`
    expect(messageOf(content).endsWith('; …')).toBe(true)
    expect(() => parsePolicy(content)).toThrow(
      expect.objectContaining({ problems: expect.toSatisfy(isTwenty) }) as Error,
    )
  })

  test('aliases cannot multiply a small file into a large one', () => {
    const list = `[${Array.from({ length: 1900 }, (_, at) => `t${at}`).join(', ')}]`
    const content = `x: &x ${list}\nrules:\n${'  - {decision: deny, match: {topics: *x}}\n'.repeat(300)}`
    expect(messageOf(content)).toContain('the file has more than 200000 values')
  })
})
