import { Fault } from '@wheelhouse/contract'
import type { Instant } from '../clock/index.ts'
import { at, sql, type Tx } from '../db/index.ts'
import { contentHash } from '../policy/index.ts'
import { compileSchema } from './compile.ts'

/** A registered schema without its document. */
export interface SchemaEntry {
  id: string
  /** Of its canonical JSON. */
  sha256: string
  updatedAt: Instant
}

const MAX_SCHEMAS = 5_000
const ID = /^[^\s\p{Cc}]{1,256}$/u

/** Registers a schema or replaces it (jobs.md §12, with its fix: it must compile). Throws VAL_SCHEMA; returns its hash. */
export async function putSchema(tx: Tx, now: Instant, id: string, schema: unknown): Promise<string> {
  if (id === '') throw new Fault('VAL_SCHEMA', {}, { message: 'schema id required' })
  if (!ID.test(id))
    throw new Fault('VAL_SCHEMA', {}, { message: 'schema id: at most 256 characters, none of them a space' })
  if (schema === undefined) throw new Fault('VAL_SCHEMA', {}, { message: 'schema required' })
  compileSchema(schema)
  const hash = contentHash(schema)
  const { count } = await tx.one<{ count: number }>(
    sql`select count(*)::int as count from json_schemas where id <> ${id}`,
  )
  if (count >= MAX_SCHEMAS)
    throw new Fault('VAL_SCHEMA', { max: MAX_SCHEMAS }, { message: `A tenant has at most ${MAX_SCHEMAS} schemas` })
  await tx.run(sql`
    insert into json_schemas (tenant_id, id, schema, sha256, created_at, updated_at)
    values (${tx.tenantId}, ${id}, ${JSON.stringify(schema)}, ${hash}, ${at(now)}, ${at(now)})
    on conflict (tenant_id, id) do update set schema = excluded.schema, sha256 = excluded.sha256, updated_at = excluded.updated_at`)
  return hash
}

/** The document of a schema, or undefined when none bears the id. */
export async function findSchema(tx: Tx, id: string): Promise<{ schema: unknown; sha256: string } | undefined> {
  const row = await tx.maybe<{ schema: string; sha256: string }>(
    sql`select schema, sha256 from json_schemas where id = ${id}`,
  )
  return row && { schema: JSON.parse(row.schema) as unknown, sha256: row.sha256 }
}

/** The newest first (jobs.md §12). */
export function listSchemas(tx: Tx, limit: number): Promise<SchemaEntry[]> {
  return tx.many(
    sql`select id, sha256, updated_at as "updatedAt" from json_schemas order by updated_at desc, id limit ${limit}`,
  )
}

/** False when there was none. */
export async function deleteSchema(tx: Tx, id: string): Promise<boolean> {
  return (await tx.run(sql`delete from json_schemas where id = ${id}`)) > 0
}
