import { readConstraints, readRemediations } from './constraints.ts'
import type { Constraints, Remediation } from './constraints.ts'
import { isAnyMatch, readMatch, readMcp } from './match.ts'
import type { Match, McpLists } from './match.ts'
import {
  flagOf,
  integerOf,
  listOf,
  mapOf,
  openYaml,
  problem,
  strictMapOf,
  textOf,
  textsOf,
  warn,
} from './yaml-reader.ts'
import type { Cursor, Fields, Problem } from './yaml-reader.ts'

/** What a rule answers, under its first name of jobs.md 20.1. */
export type Verdict = 'allow' | 'deny' | 'require_approval' | 'allow_with_constraints' | 'throttle'

/**
 * Who must approve what a rule holds; absent members are the inbox's defaults. Beyond jobs.md: `approval: {required,
 * allow_self, roles, expires_minutes}` beside `decision: require_approval` (decisions D5: separation of duties belongs to
 * the rule that asks; product.md: a wide reach needs two people).
 */
export interface ApprovalTerms {
  readonly required: number
  readonly allowSelf: boolean | null
  readonly roles: readonly string[]
  readonly expiresMs: number | null
}

export interface Rule {
  /** As written, or `#<n>` (1-based) for a rule without one; `compile.ts` puts the source's id before it. */
  readonly id: string
  readonly named: boolean
  readonly match: Match
  readonly verdict: Verdict
  readonly reason: string
  readonly constraints: Constraints | null
  readonly remediations: readonly Remediation[]
  readonly approval: ApprovalTerms | null
  readonly line: number
  /** The rule as its author wrote it, for `GET /policy/rules`. */
  readonly written: Readonly<Record<string, unknown>>
}

/** The older per-tenant lists (jobs.md 20.1). Repository hosts and the job count are read, and unused as documented. */
export interface TenantPolicy {
  readonly allowTopics: readonly string[]
  readonly denyTopics: readonly string[]
  readonly allowedRepoHosts: readonly string[]
  readonly deniedRepoHosts: readonly string[]
  readonly maxConcurrentJobs: number
  readonly mcp: McpLists
}

/** One parsed policy file. */
export interface Policy {
  readonly version: string
  readonly defaultTenant: string
  /** What happens when no rule matches; null = not said here (decisions D5: absent everywhere = allow). */
  readonly defaultDecision: 'allow' | 'deny' | 'require_approval' | null
  /** True: the rules of this file do not switch the older tenant lists off. The built-in policy says so of itself. */
  readonly keepTenantLists: boolean
  readonly rules: readonly Rule[]
  readonly tenants: ReadonlyMap<string, TenantPolicy>
  readonly warnings: readonly Problem[]
}

/** A policy file that cannot be accepted. The message names the first problems with line, column and path. */
export class PolicySyntaxError extends Error {
  readonly problems: readonly Problem[]
  constructor(problems: readonly Problem[]) {
    super(problems.slice(0, 3).map(describeProblem).join('; ') + (problems.length > 3 ? '; …' : ''))
    this.name = 'PolicySyntaxError'
    this.problems = problems
  }
}

export function describeProblem(found: Problem): string {
  return `line ${found.line}, column ${found.column}: ${found.path === '' ? '' : `${found.path}: `}${found.message}`
}

const MAX_BYTES = 524_288
const MAX_RULES = 5000
const MAX_ENTRIES = 2000
// `tests` stands beside the rules for whoever writes them: the studio runs them, and they decide nothing.
const ROOT = ['version', 'default_tenant', 'default_decision', 'keep_tenant_lists', 'rules', 'tenants', 'tests']
const VERDICTS: Readonly<Record<string, Verdict>> = {
  allow: 'allow',
  permit: 'allow',
  deny: 'deny',
  block: 'deny',
  require_approval: 'require_approval',
  'require-approval': 'require_approval',
  require_human: 'require_approval',
  allow_with_constraints: 'allow_with_constraints',
  'allow-with-constraints': 'allow_with_constraints',
  throttle: 'throttle',
}

/**
 * Reads a policy file, YAML or JSON (jobs.md 20.1): unknown root keys are tolerated with a warning, nested objects are
 * strict. At most 512 KiB and 5,000 rules. Throws PolicySyntaxError with every problem's line, column and path.
 */
export function parsePolicy(content: string): Policy {
  if (Buffer.byteLength(content) > MAX_BYTES) {
    throw new PolicySyntaxError([
      { path: '', line: 1, column: 1, message: `the file is larger than ${MAX_BYTES} bytes` },
    ])
  }
  return readPolicy(openYaml(content))
}

function readPolicy(root: Cursor): Policy {
  const { reading } = root
  if (reading.problems.length > 0) throw new PolicySyntaxError(reading.problems)
  const fields: Fields = mapOf(root) ?? new Map()
  for (const [key, field] of fields) {
    if (!ROOT.includes(key)) warn(field, 'unknown field, ignored')
  }
  const policy: Policy = {
    version: textOf(fields.get('version')) ?? '',
    defaultTenant: textOf(fields.get('default_tenant')) ?? '',
    defaultDecision: readDefaultDecision(fields.get('default_decision')),
    keepTenantLists: flagOf(fields.get('keep_tenant_lists')) ?? false,
    rules: readRules(fields.get('rules')),
    tenants: new Map([...(mapOf(fields.get('tenants')) ?? [])].map(([name, field]) => [name, readTenant(field)])),
    warnings: reading.warnings,
  }
  if (reading.problems.length > 0) throw new PolicySyntaxError(reading.problems)
  return policy
}

function readDefaultDecision(cursor: Cursor | undefined): Policy['defaultDecision'] {
  const text = textOf(cursor)
  if (text === undefined || !cursor) return null
  const verdict = verdictOf(text)
  if (verdict === 'allow' || verdict === 'deny' || verdict === 'require_approval') return verdict
  problem(cursor, 'must be allow, deny or require_approval')
  return null
}

function verdictOf(text: string): Verdict | undefined {
  const name = text.trim().toLowerCase()
  return Object.hasOwn(VERDICTS, name) ? VERDICTS[name] : undefined
}

function readRules(cursor: Cursor | undefined): Rule[] {
  const seen = new Set<string>()
  return listOf(cursor, MAX_RULES).map((entry, index) => {
    const rule = readRule(entry, index)
    if (rule.named && seen.has(rule.id)) warn(entry, `a rule with the id "${rule.id}" stands above`)
    seen.add(rule.id)
    return rule
  })
}

const RULE = ['id', 'match', 'decision', 'reason', 'constraints', 'remediations', 'approval']

function readRule(cursor: Cursor, index: number): Rule {
  const fields = strictMapOf(cursor, RULE)
  // An empty entry is not an empty rule: that would allow everything.
  if (!fields) problem(cursor, 'must be a mapping')
  const id = (textOf(fields?.get('id')) ?? '').trim()
  const verdict = readVerdict(fields?.get('decision'))
  const match = readMatch(fields?.get('match'))
  const approval = readApproval(fields?.get('approval'))
  if (approval && verdict !== 'require_approval') {
    problem(fields?.get('approval') ?? cursor, 'goes only with decision: require_approval')
  }
  if (verdict === 'allow' && isAnyMatch(match) && !fields?.has('constraints')) {
    warn(cursor, 'allows everything: no rule below it can match')
  }
  const offset = cursor.node?.range?.[0] ?? 0
  return {
    id: id === '' ? `#${index + 1}` : id,
    named: id !== '',
    match,
    verdict,
    reason: (textOf(fields?.get('reason')) ?? '').trim(),
    constraints: readConstraints(fields?.get('constraints')),
    remediations: readRemediations(fields?.get('remediations')),
    approval,
    line: cursor.reading.lines.linePos(offset).line,
    written: writtenOf(cursor),
  }
}

function readVerdict(cursor: Cursor | undefined): Verdict {
  const text = textOf(cursor)
  if (text === undefined || !cursor) return 'allow'
  const verdict = verdictOf(text)
  if (verdict) return verdict
  problem(cursor, `"${text}" is not a decision; known: ${Object.keys(VERDICTS).join(', ')}`)
  return 'deny'
}

const APPROVAL = ['required', 'allow_self', 'roles', 'expires_minutes']

function readApproval(cursor: Cursor | undefined): ApprovalTerms | null {
  const fields = strictMapOf(cursor, APPROVAL)
  if (!fields) return null
  const minutes = integerOf(fields.get('expires_minutes'), 1, 43_200)
  return {
    required: integerOf(fields.get('required'), 1, 10) ?? 1,
    allowSelf: flagOf(fields.get('allow_self')) ?? null,
    roles: textsOf(fields.get('roles'), 50),
    expiresMs: minutes === undefined ? null : minutes * 60_000,
  }
}

const TENANT = ['allow_topics', 'deny_topics', 'allowed_repo_hosts', 'denied_repo_hosts', 'max_concurrent_jobs', 'mcp']

function readTenant(cursor: Cursor): TenantPolicy {
  const fields = strictMapOf(cursor, TENANT)
  return {
    allowTopics: textsOf(fields?.get('allow_topics'), MAX_ENTRIES),
    denyTopics: textsOf(fields?.get('deny_topics'), MAX_ENTRIES),
    allowedRepoHosts: textsOf(fields?.get('allowed_repo_hosts'), MAX_ENTRIES),
    deniedRepoHosts: textsOf(fields?.get('denied_repo_hosts'), MAX_ENTRIES),
    maxConcurrentJobs: integerOf(fields?.get('max_concurrent_jobs'), 0, 2_147_483_647) ?? 0,
    mcp: readMcp(fields?.get('mcp')),
  }
}

function writtenOf(cursor: Cursor): Record<string, unknown> {
  const value: unknown = cursor.node?.toJS(cursor.reading.document, { maxAliasCount: 1000 })
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? { ...value } : {}
}
