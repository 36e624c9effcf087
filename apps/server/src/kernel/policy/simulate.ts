import { BASE_ID, compilePolicy } from './compile.ts'
import type { PolicySource } from './compile.ts'
import type { Snapshot } from './snapshot.ts'
import { explain } from './explain.ts'
import type { Explanation } from './explain.ts'
import type { PolicyRequest } from './request.ts'

/**
 * The bundles as they would be with one of them changed (jobs.md 10, bundle simulate): `content`, if given, in place of
 * `id` and enabled; the base file left out. Undefined when nothing is enabled. Throws PolicySourceError.
 */
export function compileDraft(
  sources: readonly PolicySource[],
  draft: { readonly id: string; readonly content?: string | undefined },
): Snapshot | undefined {
  const { id, content } = draft
  const stored = sources.filter((source) => source.id !== BASE_ID)
  if (content === undefined) return compilePolicy(stored)
  return compilePolicy([...stored.filter((source) => source.id !== id), { id, content, enabled: true }])
}

/** What a request would get under such a draft. Nothing is recorded. */
export function simulate(
  sources: readonly PolicySource[],
  draft: { readonly id: string; readonly content?: string | undefined },
  request: PolicyRequest,
): Explanation {
  return explain(compileDraft(sources, draft), request)
}
