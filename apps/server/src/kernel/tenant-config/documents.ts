import { Fault } from '@wheelhouse/contract'
import { CONFIG_SCOPES, type ConfigScope } from '@wheelhouse/contract/jobs/config'
import type { Instant } from '../clock/index.ts'
import { at, jsonb, sql, type Tx } from '../db/index.ts'
import { checkConfig } from './values.ts'

export type Data = Readonly<Record<string, unknown>>

/** A document of one scope. The scope `org` has one, whose id is the tenant's. */
export interface Document {
  scope: ConfigScope
  scopeId: string
  data: Data
  meta: Readonly<Record<string, string>>
  /** From 1; raised by every write. */
  revision: number
  updatedAt: Instant
}

export interface DocumentWrite {
  scope: ConfigScope
  scopeId: string
  data: Data
  meta?: Readonly<Record<string, string>> | undefined
  /** The revision that is to be replaced; 0: there must be none. Undefined: whatever is there. */
  expected?: number | undefined
}

/** Of what is merged into every job's configuration, and goes to its worker. */
const MAX_MERGED_BYTES = 64 * 1024
const MAX_DEFAULT_BYTES = 256 * 1024
const MAX_SYSTEM_BYTES = 8 * 1024 * 1024
const MAX_DOCUMENTS = 5_000
const SCOPE_ID = /^[^\p{Cc}]{1,256}$/u

interface Row extends Omit<Document, 'data'> {
  data: string
}

const COLUMNS = sql.raw(`scope, scope_id as "scopeId", data, meta, revision, updated_at as "updatedAt"`)
const documentOf = (row: Row): Document => ({ ...row, data: JSON.parse(row.data) as Data })

const refuse = (message: string): never => {
  throw new Fault('VAL_SCHEMA', {}, { message })
}

/** Throws VAL_SCHEMA for a scope that there is not (jobs.md 11). */
export function scopeOf(name: string): ConfigScope {
  const known = CONFIG_SCOPES.find((each) => each === name)
  return known ?? refuse(`unknown scope "${name.slice(0, 40)}"; write ${CONFIG_SCOPES.join(', ')}`)
}

/** One document, or undefined. With `lock`, other writers of this tenant's configuration wait until the commit. */
export async function findDocument(
  tx: Tx,
  scope: ConfigScope,
  scopeId: string,
  lock?: 'lock',
): Promise<Document | undefined> {
  if (lock) await lockConfig(tx)
  const row = await tx.maybe<Row>(
    sql`select ${COLUMNS} from config_documents where scope = ${scope} and scope_id = ${scopeId}`,
  )
  return row && documentOf(row)
}

/** Holds the tenant's configuration against other writers until the end of the transaction. */
async function lockConfig(tx: Tx): Promise<void> {
  await tx.run(sql`insert into config_heads (tenant_id, revision, changed_at) values (${tx.tenantId}, 0, ${at(0)})
    on conflict (tenant_id) do update set revision = config_heads.revision`)
}

/**
 * Replaces a document whole. Throws VAL_SCHEMA for values that could not be used, CONFIG_CONFLICT when `expected` is not what is
 * stored. Whoever writes calls `TenantConfig.changed` after the commit, so that it is in force at once.
 */
export async function writeDocument(tx: Tx, now: Instant, write: DocumentWrite): Promise<Document> {
  const { scope, scopeId, data, meta, expected } = write
  if (!SCOPE_ID.test(scopeId)) refuse('scope_id: at most 256 characters, no control characters')
  checkConfig(scope, scopeId, data)
  const text = JSON.stringify(data)
  const most = scope !== 'system' ? MAX_MERGED_BYTES : scopeId === 'default' ? MAX_DEFAULT_BYTES : MAX_SYSTEM_BYTES
  if (Buffer.byteLength(text) > most) refuse(`a ${scope} document has at most ${most / 1024} KiB`)
  await raiseHead(tx, now)
  const known = await findDocument(tx, scope, scopeId)
  const revision = known?.revision ?? 0
  if (expected !== undefined && expected !== revision) {
    const message = `config was changed by someone else: its revision is ${revision}, not ${expected}; read it again`
    throw new Fault('CONFIG_CONFLICT', { revision, expected }, { message })
  }
  if (!known) await refuseTooMany(tx)
  const row = await tx.one<Row>(sql`
    insert into config_documents (tenant_id, scope, scope_id, data, meta, revision, updated_at)
    values (${tx.tenantId}, ${scope}, ${scopeId}, ${text}, ${jsonb(meta ?? {})}, ${revision + 1}, ${at(now)})
    on conflict (tenant_id, scope, scope_id) do update set data = excluded.data, meta = excluded.meta,
      revision = excluded.revision, updated_at = excluded.updated_at
    returning ${COLUMNS}`)
  return documentOf(row)
}

async function raiseHead(tx: Tx, now: Instant): Promise<void> {
  await tx.run(sql`insert into config_heads (tenant_id, revision, changed_at) values (${tx.tenantId}, 1, ${at(now)})
    on conflict (tenant_id) do update set revision = config_heads.revision + 1, changed_at = excluded.changed_at`)
}

async function refuseTooMany(tx: Tx): Promise<void> {
  const { count } = await tx.one<{ count: number }>(sql`select count(*)::int as count from config_documents`)
  if (count >= MAX_DOCUMENTS) refuse(`A tenant has at most ${MAX_DOCUMENTS} configuration documents`)
}
