/** What a key under `mem:` names (jobs.md 17.9, 28). */
export type MemoryPart =
  { memoryId: string; kind: 'events' | 'chunks' | 'summary' } | { memoryId: string; kind: 'chunk'; name: string }

/**
 * A memory's name without the prefix that the ids of API jobs begin with (jobs.md 28): `mem:x` and `x` are one memory.
 * At most 200 characters count, as many as the store takes.
 */
export const memoryName = (memoryId: string): string => memoryId.replace(/^(mem:)+/, '').slice(0, 200)

/** The part of a memory that a key such as `mem:<id>:events` names; undefined for other values under `mem:`. */
export function memoryPart(key: string): MemoryPart | undefined {
  const [, id = '', kind, name] = /^mem:(.+?):(?:(events|chunks|summary)|chunk:(.+))$/s.exec(key) ?? []
  const memoryId = memoryName(id)
  if (memoryId === '') return undefined
  if (name !== undefined) return { memoryId, kind: 'chunk', name: name.slice(0, 200) }
  return kind === undefined ? undefined : { memoryId, kind: kind as 'events' | 'chunks' | 'summary' }
}

/** Under which key of `job_values` the summary of a memory stands. */
export const summaryKey = (memoryId: string): string => `mem:${memoryName(memoryId)}:summary`
