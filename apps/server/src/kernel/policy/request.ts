import { NO_COMMAND, commandForms } from './command-line.ts'
import type { CommandForms } from './command-line.ts'
import { normal } from './facts.ts'
import type { Facts } from './facts.ts'
import { MCP_FIELDS } from './match.ts'
import type { McpField } from './match.ts'

/**
 * What a decision is asked about: PolicyCheckBody of jobs.md 10 in camelCase, and what our own verbs add. `verb` is the
 * verb's name (`command:execute`), `facts` what it reports; `facts.command` is the command line (text or arguments).
 * Members may be null, as the Go clients send them (jobs.md 1.6).
 */
export interface PolicyRequest {
  readonly topic: string
  readonly jobId?: string | null
  readonly tenant?: string | null
  readonly principalId?: string | null
  readonly labels?: Readonly<Record<string, string>> | null
  readonly effectiveConfig?: unknown
  readonly meta?: {
    readonly tenantId?: string | null
    readonly actorId?: string | null
    readonly actorType?: string | null
    readonly capability?: string | null
    readonly packId?: string | null
    readonly riskTags?: readonly string[] | null
    readonly requires?: readonly string[] | null
    readonly labels?: Readonly<Record<string, string>> | null
  } | null
  readonly verb?: string | null
  readonly facts?: Facts | null
}

/** The parts of an MCP call, lower-cased; '' = not part of this call. */
export type McpCall = Readonly<Record<McpField, string>>

/** Which costly parts of the input some rule looks at; the others are not computed. */
export interface Uses {
  tags: boolean
  command: boolean
}

/** A request made ready for the checks of rules: texts normalised once. */
export interface Input {
  readonly request: PolicyRequest
  readonly topic: string
  readonly tenant: string
  readonly capability: string
  readonly packId: string
  readonly actorId: string
  readonly actorType: string
  readonly verb: string
  readonly riskTags: readonly string[]
  readonly requires: readonly string[]
  readonly command: CommandForms
  readonly facts: Facts
  readonly mcp: McpCall | null
}

const NO_FACTS: Facts = {}
const NONE: readonly string[] = []

/** Prepares a request; `tenant` is already settled (jobs.md 20.3 step 1). */
export function readRequest(request: PolicyRequest, tenant: string, uses: Uses): Input {
  const { meta, facts } = request
  return {
    request,
    topic: request.topic,
    tenant,
    capability: text(meta?.capability),
    packId: text(meta?.packId),
    // The policy endpoints give the principal as the actor when none is named (jobs.md 10).
    actorId: text(meta?.actorId) || text(request.principalId),
    actorType: text(meta?.actorType),
    verb: text(request.verb),
    riskTags: uses.tags ? texts(meta?.riskTags) : NONE,
    requires: uses.tags ? texts(meta?.requires) : NONE,
    command: uses.command ? commandForms(facts?.['command']) : NO_COMMAND,
    facts: facts ?? NO_FACTS,
    mcp: mcpCall(request),
  }
}

function text(value: string | null | undefined): string {
  return value ? normal(value) : ''
}

function texts(values: readonly string[] | null | undefined): readonly string[] {
  return values && values.length > 0 ? values.map(normal).filter((value) => value !== '') : NONE
}

/** A label of the request; the copy in its metadata stands in where the request itself has none. */
export function labelOf(request: PolicyRequest, key: string): string | undefined {
  const { labels, meta } = request
  if (labels && Object.hasOwn(labels, key)) return labels[key]
  const copies = meta?.labels
  return copies && Object.hasOwn(copies, key) ? copies[key] : undefined
}

const MCP_LABELS = MCP_FIELDS.map((field) => {
  const capital = `${field.charAt(0).toUpperCase()}${field.slice(1)}`
  return { field, keys: [`mcp.${field}`, `mcp_${field}`, `mcp${capital}`] }
})

/** The MCP call that the labels describe, or null (jobs.md 20.2). */
function mcpCall(request: PolicyRequest): McpCall | null {
  if (!request.labels && !request.meta?.labels) return null
  let call: Record<McpField, string> | null = null
  for (const { field, keys } of MCP_LABELS) {
    for (const key of keys) {
      const value = text(labelOf(request, key))
      if (value === '') continue
      call ??= { server: '', tool: '', resource: '', action: '' }
      call[field] = value
      break
    }
  }
  return call
}

/** Whether the job carries secrets: its label says so, or its risk tags do (jobs.md 20.2). A label cannot deny the tag. */
export function secretsPresent(input: Input): boolean {
  const label = labelOf(input.request, 'secrets_present')
  if (label !== undefined && ['true', '1', 'yes'].includes(normal(label))) return true
  return input.riskTags.includes('secrets')
}
