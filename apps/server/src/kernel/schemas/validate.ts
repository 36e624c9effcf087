import { LRUCache } from 'lru-cache'
import { sql, type Tx } from '../db/index.ts'
import { type CompiledSchema, compiledOr } from './compile.ts'

/** Of the registry, by the hash of what is stored, so that a replaced schema is never taken for the one before. */
const byHash = new LRUCache<string, CompiledSchema>({ max: 500 })

/** Registered schemas by their ids, or why one cannot be used. Two statements at most, however many there are. */
export async function registeredSchemas(
  tx: Tx,
  ids: readonly string[],
): Promise<ReadonlyMap<string, CompiledSchema | string>> {
  if (ids.length === 0) return new Map()
  const wanted = [...ids]
  const heads = await tx.many<{ id: string; sha256: string }>(
    sql`select id, sha256 from json_schemas where id = any(${wanted}::text[])`,
  )
  const hashes = new Map(heads.map(({ id, sha256 }) => [id, sha256]))
  const made = new Map<string, CompiledSchema | string>()
  const unknown = new Set<string>()
  for (const { sha256 } of heads) {
    const known = byHash.get(sha256)
    if (known) made.set(sha256, known)
    else unknown.add(sha256)
  }
  const bodies =
    unknown.size === 0
      ? []
      : await tx.many<{ schema: string; sha256: string }>(
          sql`select schema, sha256 from json_schemas where id = any(${wanted}::text[]) and sha256 = any(${[...unknown]}::text[])`,
        )
  const until = performance.now() + COMPILE_TOGETHER_MS
  for (const { schema, sha256 } of bodies) {
    if (made.has(sha256)) continue
    const left = until - performance.now()
    const compiled =
      left > 0
        ? compiledOr(JSON.parse(schema), left)
        : 'the schemas that the workflow names take too long to compile together'
    made.set(sha256, compiled)
    if (typeof compiled === 'object') byHash.set(sha256, compiled)
  }
  return new Map(
    wanted.map((id) => [id, made.get(hashes.get(id) ?? '') ?? `load schema ${id}: schema not found`] as const),
  )
}

/** Of one turn of a run; what is compiled stays compiled, so that the next one gets further. */
const COMPILE_TOGETHER_MS = 3_000
