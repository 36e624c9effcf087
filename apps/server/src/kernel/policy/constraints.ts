import { flagOf, integerOf, listOf, mapOf, strictMapOf, textOf, textsOf } from './yaml-reader.ts'
import type { Cursor } from './yaml-reader.ts'

/** Limits that an allowed job runs under (jobs.md 5.1). 0, false and [] mean "not limited", as on the wire. */
export interface Constraints {
  readonly budgets: {
    readonly maxRuntimeMs: number
    readonly maxRetries: number
    readonly maxArtifactBytes: number
    readonly maxConcurrentJobs: number
  } | null
  readonly sandbox: {
    readonly isolated: boolean
    readonly networkAllowlist: readonly string[]
    readonly fsReadOnly: readonly string[]
    readonly fsReadWrite: readonly string[]
  } | null
  readonly toolchain: { readonly allowedTools: readonly string[]; readonly allowedCommands: readonly string[] } | null
  readonly diff: {
    readonly maxFiles: number
    readonly maxLines: number
    readonly denyPathGlobs: readonly string[]
  } | null
  readonly redactionLevel: string
}

/** What the author of a rule proposes instead of the refused job (jobs.md 5.1). */
export interface Remediation {
  readonly id: string
  readonly title: string
  readonly summary: string
  readonly replacementTopic: string
  readonly replacementCapability: string
  readonly addLabels: Readonly<Record<string, string>>
  readonly removeLabels: readonly string[]
}

const INT32 = 2_147_483_647
const INT64 = Number.MAX_SAFE_INTEGER
const MAX_ENTRIES = 1000

/** Reads `constraints`; null when absent or empty. Integers are from 0 up (jobs.md 20.1). */
export function readConstraints(cursor: Cursor | undefined): Constraints | null {
  const fields = strictMapOf(cursor, ['budgets', 'sandbox', 'toolchain', 'diff', 'redaction_level'])
  if (!fields) return null
  const constraints: Constraints = {
    budgets: readBudgets(fields.get('budgets')),
    sandbox: readSandbox(fields.get('sandbox')),
    toolchain: readToolchain(fields.get('toolchain')),
    diff: readDiff(fields.get('diff')),
    redactionLevel: textOf(fields.get('redaction_level')) ?? '',
  }
  const { budgets, sandbox, toolchain, diff, redactionLevel } = constraints
  return budgets || sandbox || toolchain || diff || redactionLevel !== '' ? constraints : null
}

function readBudgets(cursor: Cursor | undefined): Constraints['budgets'] {
  const known = ['max_runtime_ms', 'max_retries', 'max_artifact_bytes', 'max_concurrent_jobs']
  const fields = strictMapOf(cursor, known)
  return fields
    ? {
        maxRuntimeMs: integerOf(fields.get('max_runtime_ms'), 0, INT64) ?? 0,
        maxRetries: integerOf(fields.get('max_retries'), 0, INT32) ?? 0,
        maxArtifactBytes: integerOf(fields.get('max_artifact_bytes'), 0, INT64) ?? 0,
        maxConcurrentJobs: integerOf(fields.get('max_concurrent_jobs'), 0, INT32) ?? 0,
      }
    : null
}

function readSandbox(cursor: Cursor | undefined): Constraints['sandbox'] {
  const fields = strictMapOf(cursor, ['isolated', 'network_allowlist', 'fs_read_only', 'fs_read_write'])
  return fields
    ? {
        isolated: flagOf(fields.get('isolated')) ?? false,
        networkAllowlist: textsOf(fields.get('network_allowlist'), MAX_ENTRIES),
        fsReadOnly: textsOf(fields.get('fs_read_only'), MAX_ENTRIES),
        fsReadWrite: textsOf(fields.get('fs_read_write'), MAX_ENTRIES),
      }
    : null
}

function readToolchain(cursor: Cursor | undefined): Constraints['toolchain'] {
  const fields = strictMapOf(cursor, ['allowed_tools', 'allowed_commands'])
  return fields
    ? {
        allowedTools: textsOf(fields.get('allowed_tools'), MAX_ENTRIES),
        allowedCommands: textsOf(fields.get('allowed_commands'), MAX_ENTRIES),
      }
    : null
}

function readDiff(cursor: Cursor | undefined): Constraints['diff'] {
  const fields = strictMapOf(cursor, ['max_files', 'max_lines', 'deny_path_globs'])
  return fields
    ? {
        maxFiles: integerOf(fields.get('max_files'), 0, INT32) ?? 0,
        maxLines: integerOf(fields.get('max_lines'), 0, INT32) ?? 0,
        denyPathGlobs: textsOf(fields.get('deny_path_globs'), MAX_ENTRIES),
      }
    : null
}

/** Reads `remediations`; [] when absent. */
export function readRemediations(cursor: Cursor | undefined): Remediation[] {
  const known = ['id', 'title', 'summary', 'replacement_topic', 'replacement_capability', 'add_labels', 'remove_labels']
  return listOf(cursor, 50).map((entry) => {
    const fields = strictMapOf(entry, known)
    return {
      id: textOf(fields?.get('id')) ?? '',
      title: textOf(fields?.get('title')) ?? '',
      summary: textOf(fields?.get('summary')) ?? '',
      replacementTopic: textOf(fields?.get('replacement_topic')) ?? '',
      replacementCapability: textOf(fields?.get('replacement_capability')) ?? '',
      addLabels: Object.fromEntries(readLabels(fields?.get('add_labels'))),
      removeLabels: textsOf(fields?.get('remove_labels'), 50),
    }
  })
}

/** Label pairs in the order of the file; an empty value is the empty text. */
export function readLabels(cursor: Cursor | undefined): [string, string][] {
  return [...(mapOf(cursor) ?? [])].map(([key, field]) => [key, textOf(field) ?? ''])
}
