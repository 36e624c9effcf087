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
