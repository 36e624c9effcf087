export type Json = Record<string, unknown>

export const isJson = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Names that would reach the prototype of an object instead of a member. */
const isOwn = (key: string): boolean => key !== '__proto__'

/** RFC 7396. Neither argument is changed. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isJson(patch)) return patch
  const result: Json = isJson(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (!isOwn(key)) continue
    if (value === null) delete result[key]
    else result[key] = mergePatch(result[key], value)
  }
  return result
}

/** The patch that takes another one's leaves away again; the objects that held them stay, empty (jobs.md 24.4). */
export function deletePatch(patch: Json): Json {
  return Object.fromEntries(
    Object.entries(patch).flatMap(([key, value]): [string, unknown][] => {
      if (!isOwn(key) || value === null) return []
      if (isJson(value) && Object.keys(value).length > 0) return [[key, deletePatch(value)]]
      return [[key, null]]
    }),
  )
}
