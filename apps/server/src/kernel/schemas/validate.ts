import { Fault } from '@wheelhouse/contract'
import { LRUCache } from 'lru-cache'
import { sql, type Tx } from '../db/index.ts'
import { type CompiledSchema, compileSchema, type SchemaProblem } from './compile.ts'

/** A schema that is written where it is used, and one of the registry. The one that is written wins (jobs.md §23). */
export interface SchemaReference {
  schema?: unknown
  id?: string | undefined
}

/** Of the registry, by the hash of what is stored, so that a replaced schema is never taken for the one before. */
const byHash = new LRUCache<string, CompiledSchema>({ max: 500 })

/**
 * Holds a value against a schema: nothing when it fits, or when neither schema nor id is given. Throws RES_NOT_FOUND
 * (`load schema <id>: schema not found`) for an id that nothing bears, VAL_SCHEMA for a written schema that does not compile.
 */
export async function validateSchema(tx: Tx, reference: SchemaReference, value: unknown): Promise<SchemaProblem[]> {
  const { schema, id = '' } = reference
  if (schema !== undefined && schema !== null) return compileSchema(schema).problems(value)
  if (id === '') return []
  return (await registered(tx, id)).problems(value)
}

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
    if (left <= 0) made.set(sha256, 'the schemas that the workflow names take too long to compile together')
    else made.set(sha256, compiledOr(JSON.parse(schema), left))
    const compiled = made.get(sha256)
    if (typeof compiled === 'object') byHash.set(sha256, compiled)
  }
  return new Map(
    wanted.map((id) => [id, made.get(hashes.get(id) ?? '') ?? `load schema ${id}: schema not found`] as const),
  )
}

/** Of one turn of a run; what is compiled stays compiled, so that the next one gets further. */
const COMPILE_TOGETHER_MS = 3_000

function compiledOr(schema: unknown, mostMs: number): CompiledSchema | string {
  try {
    return compileSchema(schema, mostMs)
  } catch (error) {
    if (error instanceof Fault) return error.message
    throw error
  }
}

async function registered(tx: Tx, id: string): Promise<CompiledSchema> {
  const head = await tx.maybe<{ sha256: string }>(sql`select sha256 from json_schemas where id = ${id}`)
  const known = head && byHash.get(head.sha256)
  if (known) return known
  const row = await tx.maybe<{ schema: string; sha256: string }>(
    sql`select schema, sha256 from json_schemas where id = ${id}`,
  )
  if (!row) throw new Fault('RES_NOT_FOUND', { id }, { message: `load schema ${id}: schema not found` })
  const made = compileSchema(JSON.parse(row.schema))
  byHash.set(row.sha256, made)
  return made
}
