import { BASE_ID, orderSources } from './compile.ts'
import type { PolicySource } from './compile.ts'
import { PolicySyntaxError, parsePolicy } from './language.ts'
import type { Policy } from './language.ts'

/** What is known of a stored source beside its text. */
export interface ListedSource extends PolicySource {
  readonly version?: string | null
  readonly sha256?: string | null
  /** RFC 3339. */
  readonly installedAt?: string | null
}

export interface ListedRules {
  readonly items: readonly Record<string, unknown>[]
  readonly errors: readonly { readonly fragment_id: string; readonly error: string }[]
}

/**
 * The answer of `GET /policy/rules` (jobs.md 10): every rule as written with its `source`, in the order of evaluation,
 * base rules included; files without rules give `legacy:…` rules of their tenant lists. A file that does not parse is an
 * entry of `errors`, not a failure.
 */
export function listRules(sources: readonly ListedSource[], includeDisabled: boolean): ListedRules {
  const items: Record<string, unknown>[] = []
  const errors: { fragment_id: string; error: string }[] = []
  const wanted = sources.map((source) => ({ ...source, enabled: source.enabled || includeDisabled }))
  for (const listed of orderSources(wanted) as ListedSource[]) {
    try {
      const policy = parsePolicy(listed.content)
      const source = sourceOf(listed)
      const rules =
        policy.rules.length > 0 ? policy.rules.map(({ written, id }) => ({ id, ...written })) : legacy(policy)
      for (const rule of rules) {
        const id = String(rule['id'])
        items.push({ ...rule, id: id.startsWith('#') ? `${listed.id}${id}` : id, source })
      }
    } catch (error) {
      if (!(error instanceof PolicySyntaxError)) throw error
      errors.push({ fragment_id: listed.id, error: error.message })
    }
  }
  return { items, errors }
}

function sourceOf({ id, version, sha256, installedAt }: ListedSource): Record<string, string> {
  const slash = id.indexOf('/')
  return {
    fragment_id: id,
    ...(slash > 0 && id !== BASE_ID ? { pack_id: id.slice(0, slash), overlay_name: id.slice(slash + 1) } : {}),
    ...(version ? { version } : {}),
    ...(installedAt ? { installed_at: installedAt } : {}),
    ...(sha256 ? { sha256 } : {}),
  }
}

function legacy(policy: Policy): Record<string, unknown>[] {
  return [...policy.tenants].flatMap(([tenant, lists]) => {
    const rule = (decision: 'deny' | 'allow') => (topic: string, at: number) => ({
      id: `legacy:${tenant}:${decision}:${at + 1}`,
      match: { tenants: [tenant], topics: [topic] },
      decision,
    })
    return [...lists.denyTopics.map(rule('deny')), ...lists.allowTopics.map(rule('allow'))]
  })
}
