import { compileChecks } from './checks.ts'
import { DEFAULT_APPROVAL, decisionName } from './decision.ts'
import { normal } from './facts.ts'
import { byteOrder, contentHash, snapshotId } from './hash.ts'
import { PolicySyntaxError, describeProblem, parsePolicy } from './language.ts'
import type { Policy, Rule, Verdict } from './language.ts'
import { readMatch } from './match.ts'
import { compileMcp, mergeMcp } from './mcp.ts'
import { ruleIndex, ruleKey } from './rule-index.ts'
import type { CompiledRule, CompiledTenant, Snapshot } from './snapshot.ts'
import { topicTest } from './topics.ts'
import type { Problem } from './yaml-reader.ts'

/** The id of the base file among sources; every other id is a bundle's. */
export const BASE_ID = 'base'

/** The id of the file that the switch for the default decision writes (settings.ts); it has no rules. */
export const SETTINGS_ID = 'settings'

/** One policy file as it is stored. Disabled and blank ones are skipped (jobs.md 20.4). */
export interface PolicySource {
  readonly id: string
  readonly content: string
  readonly enabled: boolean
}

/** A source that cannot be compiled; the snapshot before it stays in force. */
export class PolicySourceError extends Error {
  readonly sourceId: string
  readonly problems: readonly Problem[]
  constructor(sourceId: string, cause: PolicySyntaxError) {
    super(`policy ${sourceId}: ${cause.message}`, { cause })
    this.name = 'PolicySourceError'
    this.sourceId = sourceId
    this.problems = cause.problems
  }
}

interface Loaded {
  readonly source: PolicySource
  readonly policy: Policy
  readonly tier: number
}

/**
 * Compiles sources to a snapshot; undefined when none is enabled, which means "no policy loaded" (decisions D5).
 *
 * Order (jobs.md 20.4 with its fix): the settings and the base file first, then `secops/` bundles, then the others, each
 * by id in byte order. Within a file the first match wins; between files of equal standing the strictest of their first matches wins
 * (deny, approval, throttle, constrained, allow), so that no file's name decides. `version`, `default_tenant` and
 * `default_decision` come from the first that sets them. Throws PolicySourceError for a file that does not parse.
 */
export function compilePolicy(sources: readonly PolicySource[]): Snapshot | undefined {
  const loaded = orderSources(sources).map(load)
  if (loaded.length === 0) return undefined
  const base = loaded.find(({ source }) => source.id === BASE_ID)
  const id = snapshotId(
    base && { version: base.policy.version, content: base.source.content },
    loaded.flatMap(({ source }) => (source.id === BASE_ID ? [] : [source])),
  )
  const rules = loaded
    .flatMap(({ source, policy, tier }, group) =>
      policy.rules.map((rule) => compileRule(rule, { id, source: source.id, tier, group })),
    )
    .concat(legacyRules(loaded, id))
    .sort((a, b) => a.tier - b.tier)
    .map((rule, order) => ({ ...rule, order }))
  const decisive = loaded.find(({ policy }) => policy.defaultDecision)
  return {
    id,
    defaultTenant: first(loaded, (policy) => policy.defaultTenant),
    defaultDecision: decisive?.policy.defaultDecision ?? 'allow',
    defaultSetBy: decisive?.source.id ?? '',
    rules,
    rulesFor: ruleIndex(rules),
    tenants: compileTenants(loaded),
    uses: {
      tags: rules.some(({ checks }) => checks.some(({ field }) => TAG_FIELDS.has(field))),
      command: rules.some(({ checks }) => checks.some(({ field }) => field === 'command')),
    },
    warnings: loaded.flatMap(({ source, policy }) =>
      policy.warnings.map((found) => `${source.id}: ${describeProblem(found)}`),
    ),
  }
}

const TAG_FIELDS = new Set(['risk_tags', 'requires', 'secrets_present'])

/** The enabled sources in the order in which they are merged. */
export function orderSources(sources: readonly PolicySource[]): PolicySource[] {
  return sources
    .filter(({ enabled, content }) => enabled && content.trim() !== '')
    .sort((a, b) => tierOf(a.id) - tierOf(b.id) || byteOrder(a.id, b.id))
}

function tierOf(id: string): number {
  if (id === SETTINGS_ID) return -1
  if (id === BASE_ID) return 0
  return id.startsWith('secops/') ? 1 : 2
}

function load(source: PolicySource): Loaded {
  try {
    return { source, policy: parsePolicy(source.content), tier: tierOf(source.id) }
  } catch (error) {
    if (error instanceof PolicySyntaxError) throw new PolicySourceError(source.id, error)
    throw error
  }
}

function first(loaded: readonly Loaded[], pick: (policy: Policy) => string): string {
  return loaded.map(({ policy }) => pick(policy)).find((value) => value !== '') ?? ''
}

interface Place {
  readonly id: string
  readonly source: string
  readonly tier: number
  readonly group: number
}

function compileRule(rule: Rule, place: Place): CompiledRule {
  const id = rule.named ? rule.id : `${place.source}${rule.id}`
  const held = rule.verdict === 'require_approval'
  return {
    order: 0,
    id,
    source: place.source,
    tier: place.tier,
    group: place.group,
    key: ruleKey(rule.match),
    topics: rule.match.topics,
    matchesTopic: rule.match.topics.length === 0 ? () => true : topicTest(rule.match.topics),
    checks: compileChecks(rule.match),
    answer: Object.freeze({
      decision: decisionName(rule.verdict, rule.constraints !== null),
      reason: reasonOf(rule.verdict, rule.reason, id),
      ruleId: id,
      ruleDigest: contentHash(rule.written),
      source: place.source,
      snapshot: place.id,
      constraints: rule.constraints,
      approvalRequired: held,
      approvalRef: '',
      approval: held ? (rule.approval ?? DEFAULT_APPROVAL) : null,
      remediations: rule.remediations,
    }),
  }
}

/** A denial always says why, also where the rule does not. */
function reasonOf(verdict: Verdict, written: string, id: string): string {
  if (verdict === 'allow' || verdict === 'allow_with_constraints') return ''
  if (written !== '') return written
  const what = { deny: 'denied', require_approval: 'approval required', throttle: 'throttled' }[verdict]
  return `${what} by policy rule "${id}"`
}

/**
 * The older tenant lists as rules (jobs.md 20.3 step 4): only while no file has rules, except files that say
 * `keep_tenant_lists`, as the built-in policy does, so that installing it switches nothing off.
 */
function legacyRules(loaded: readonly Loaded[], snapshot: string): CompiledRule[] {
  if (loaded.some(({ policy }) => policy.rules.length > 0 && !policy.keepTenantLists)) return []
  return [...mergeTenants(loaded).values()].flatMap(({ name, parts }, index) => {
    const rule = (verdict: 'deny' | 'allow', topic: string, at: number): CompiledRule => {
      const id = `legacy:${name}:${verdict}:${at + 1}`
      const reason = verdict === 'deny' ? `topic matches "${topic}", which tenant ${name} denies` : ''
      const match = { ...readMatch(undefined), tenants: [name], topics: [topic] }
      return compileRule(
        {
          id,
          named: true,
          match,
          verdict,
          reason,
          constraints: null,
          remediations: [],
          approval: null,
          line: 0,
          written: { id, match: { tenants: [name], topics: [topic] }, decision: verdict },
        },
        { id: snapshot, source: 'legacy', tier: 2, group: -1 - index },
      )
    }
    const denied = parts.flatMap((part) => part.denyTopics).map((topic, at) => rule('deny', topic, at))
    const allowed = parts.flatMap((part) => part.allowTopics).map((topic, at) => rule('allow', topic, at))
    return [...denied, ...allowed]
  })
}

type TenantParts = { name: string; parts: Policy['tenants'] extends ReadonlyMap<string, infer P> ? P[] : never }

function mergeTenants(loaded: readonly Loaded[]): Map<string, TenantParts> {
  const merged = new Map<string, TenantParts>()
  for (const { policy } of loaded) {
    for (const [name, part] of policy.tenants) {
      const known = merged.get(normal(name))
      if (known) known.parts.push(part)
      else merged.set(normal(name), { name, parts: [part] })
    }
  }
  return merged
}

function compileTenants(loaded: readonly Loaded[]): Map<string, CompiledTenant> {
  const compiled = [...mergeTenants(loaded)].map(([key, { name, parts }]): [string, CompiledTenant] => [
    key,
    { name, mcp: compileMcp(mergeMcp(parts.map((part) => part.mcp))) },
  ])
  return new Map(compiled)
}
