import { normal } from './facts.ts'
import { MCP_FIELDS } from './match.ts'
import type { McpField, McpLists } from './match.ts'
import type { McpCall } from './request.ts'

/** The part of an MCP call that its lists refuse. */
export interface McpViolation {
  readonly field: McpField
  readonly value: string
  readonly how: 'denied' | 'not allowed'
}

/**
 * Compiles MCP lists: each part of a call must not be in its deny list and must be in its allow list when one is given
 * (jobs.md 20.2), so a part that the call lacks fails a given allow list. Undefined when all lists are empty.
 */
export function compileMcp(lists: McpLists): ((call: McpCall) => McpViolation | undefined) | undefined {
  const parts = MCP_FIELDS.flatMap((field) => {
    const { allow, deny } = lists[field]
    if (allow.length === 0 && deny.length === 0) return []
    return [{ field, allow: new Set(allow.map(normal)), deny: new Set(deny.map(normal)) }]
  })
  if (parts.length === 0) return undefined
  return (call) => {
    for (const { field, allow, deny } of parts) {
      const value = call[field]
      if (value !== '' && deny.has(value)) return { field, value, how: 'denied' }
      if (allow.size > 0 && !allow.has(value)) return { field, value, how: 'not allowed' }
    }
    return undefined
  }
}

/** The reason that jobs.md 20.3 step 5 gives. */
export function describeViolation(violation: McpViolation): string {
  return `mcp ${violation.field} "${violation.value}" ${violation.how}`
}

/** Lists of several sources make one list. */
export function mergeMcp(parts: readonly McpLists[]): McpLists {
  const merged = (field: McpField) => ({
    allow: parts.flatMap((part) => part[field].allow),
    deny: parts.flatMap((part) => part[field].deny),
  })
  return { server: merged('server'), tool: merged('tool'), resource: merged('resource'), action: merged('action') }
}
