import type { LoadedPolicy } from '../../kernel/policy/index.ts'

/** What is in force for a tenant, in the words of the settings endpoint. */
export function settingsOf({ snapshot, revision, problem }: LoadedPolicy) {
  return {
    defaultDecision: snapshot?.defaultDecision ?? ('allow' as const),
    setBy: snapshot?.defaultSetBy ?? '',
    snapshot: snapshot?.id ?? '',
    revision,
    problem: problem ?? null,
    warnings: [...(snapshot?.warnings ?? [])].slice(0, 100),
  }
}
