import { CONFIG_SCOPES, type ConfigScope } from '@wheelhouse/contract/jobs/config'
import { contentHash } from '../policy/index.ts'
import type { Data, Document } from './documents.ts'

/** What is in force somewhere (jobs.md 22). One object per version: it is never changed, so what is derived from it can be kept. */
export interface Effective {
  /** `system:<revision>|org:…|team:…|workflow:…|step:…`, 0 where there is no document. */
  version: string
  /** SHA-256 of the canonical JSON of `data`. */
  hash: string
  data: Data
  /** `data` as workers get it in their environment. */
  json: string
  /** The section that policy looks at, alone; null without one. */
  safety: { readonly safety: unknown } | null
}

/** A shallow merge in the order of the scopes: a later one replaces whole top-level values. */
export function mergeDocuments(documents: readonly Pick<Document, 'scope' | 'data' | 'revision'>[]): Effective {
  const byScope = new Map(documents.map((each) => [each.scope, each]))
  const data: Data = Object.fromEntries(
    CONFIG_SCOPES.flatMap((scope) => Object.entries(byScope.get(scope)?.data ?? {})),
  )
  const revisionOf = (scope: ConfigScope): string => `${scope}:${byScope.get(scope)?.revision ?? 0}`
  return {
    version: CONFIG_SCOPES.map(revisionOf).join('|'),
    hash: contentHash(data),
    data,
    json: JSON.stringify(data),
    safety: data['safety'] === undefined ? null : { safety: data['safety'] },
  }
}

/** How many runs of the tenant may be active at once; 0: any number (jobs.md 8). */
export function maxConcurrentRuns({ data }: Pick<Effective, 'data'>): number {
  return numberAt(data, 'limits', 'max_concurrent_runs') || numberAt(data, 'rate_limits', 'concurrent_workflows')
}

function numberAt(data: Data, section: string, key: string): number {
  const value = data[section]
  const found = typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? Reflect.get(value, key) : 0
  return typeof found === 'number' && found > 0 ? Math.floor(found) : 0
}
