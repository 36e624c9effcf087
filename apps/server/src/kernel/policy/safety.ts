import { MCP_FIELDS } from './match.ts'
import type { McpField, McpLists } from './match.ts'
import { compileMcp } from './mcp.ts'
import type { McpViolation } from './mcp.ts'
import type { McpCall } from './request.ts'
import { topicTest } from './topics.ts'
import type { TopicTest } from './topics.ts'

/** What the effective configuration of a job adds to policy (jobs.md 20.3 step 6). */
export interface Safety {
  readonly denied: TopicTest | undefined
  readonly allowed: TopicTest | undefined
  readonly mcp: ((call: McpCall) => McpViolation | undefined) | undefined
  /** Set when the section cannot be understood: everything is denied, since what it forbids is unknown. */
  readonly malformed: string
}

/**
 * The member of a job's facts under which the `safety` section that policy saw is kept: as `{ safety: … }`, so that a job is
 * decided again, and replayed, under what it was submitted with.
 */
export const EFFECTIVE_CONFIG = 'effective_config'

const known = new WeakMap<object, Safety | 'none'>()

/**
 * The `safety` section of an effective configuration, at the top level or under `data`; undefined without one. It is
 * compiled once per object, so a caller keeps one object per version of the configuration and does not change it.
 */
export function safetyOf(config: unknown): Safety | undefined {
  if (config === null || typeof config !== 'object') return undefined
  let safety = known.get(config)
  if (safety === undefined) {
    safety = compileSafety(config)
    known.set(config, safety)
  }
  return safety === 'none' ? undefined : safety
}

function compileSafety(config: object): Safety | 'none' {
  const section = member(config, 'safety') ?? member(member(config, 'data'), 'safety')
  if (section === undefined) return 'none'
  const denied = topics(section, 'denied_topics')
  const allowed = topics(section, 'allowed_topics')
  const mcp = mcpLists(section)
  const malformed = [
    [typeof section === 'object' && !Array.isArray(section), 'safety'],
    [denied, 'safety.denied_topics'],
    [allowed, 'safety.allowed_topics'],
    [mcp, 'safety.mcp'],
  ].find(([fine]) => !fine)
  if (malformed || !denied || !allowed || !mcp) {
    return { denied: undefined, allowed: undefined, mcp: undefined, malformed: String(malformed?.[1]) }
  }
  return {
    denied: denied.length > 0 ? topicTest(denied) : undefined,
    allowed: allowed.length > 0 ? topicTest(allowed) : undefined,
    mcp: compileMcp(mcp),
    malformed: '',
  }
}

function member(value: unknown, key: string): unknown {
  if (value === null || typeof value !== 'object' || !Object.hasOwn(value, key)) return undefined
  return (value as Record<string, unknown>)[key] ?? undefined
}

/** A list of texts; [] when absent, null when it is anything else. */
function topics(section: unknown, key: string): string[] | null {
  const value = member(section, key)
  if (value === undefined) return []
  return Array.isArray(value) && value.every((entry) => typeof entry === 'string') ? value : null
}

function mcpLists(section: unknown): McpLists | null {
  const value = member(section, 'mcp')
  if (value !== undefined && (typeof value !== 'object' || Array.isArray(value))) return null
  const read = (field: McpField) => ({
    allow: topics(value, `allow_${field}s`),
    deny: topics(value, `deny_${field}s`),
  })
  const lists = { server: read('server'), tool: read('tool'), resource: read('resource'), action: read('action') }
  const complete = MCP_FIELDS.every((field) => lists[field].allow !== null && lists[field].deny !== null)
  return complete ? (lists as McpLists) : null
}
