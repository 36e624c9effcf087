import { Fault } from '@wheelhouse/contract'
import type { Instant } from '../clock/index.ts'
import { at, sql, type Tx } from '../db/index.ts'
import type { PolicySource } from './compile.ts'
import { DEFAULT_POLICY, DEFAULT_POLICY_ID } from './default-policy.ts'
import { byteOrder, sha256 } from './hash.ts'
import { PolicySyntaxError, parsePolicy } from './language.ts'
import { policyConflict } from './revision-tag.ts'

/** A policy file of a tenant (the bundle of jobs.md 10). */
export interface PolicyDocument extends PolicySource {
  readonly author: string
  readonly message: string
  readonly version: string
  readonly sha256: string
  /** When a pack put it there; null for files that people wrote. */
  readonly installedAt: Instant | null
  readonly createdAt: Instant
  readonly updatedAt: Instant
}

/** What a write gives; an absent member keeps its value. A new document is disabled unless it says otherwise (jobs.md 10, fix). */
export interface PolicyWrite {
  readonly id: string
  readonly content: string
  readonly enabled?: boolean | undefined
  readonly author?: string | undefined
  readonly message?: string | undefined
  readonly version?: string | undefined
  readonly installedAt?: Instant | undefined
  /** Sees what is stored, under the lock of the write, and throws where that is not what the writer has read. */
  readonly expect?: ((known: PolicyDocument | undefined) => void) | undefined
}

const MAX_DOCUMENTS = 500

const COLUMNS = sql.raw(
  `id, content, enabled, author, message, version, sha256, installed_at as "installedAt", created_at as "createdAt", updated_at as "updatedAt"`,
)

/** Changes with every write of the document, so that a writer can say which one it has read. */
export function documentTag({ id, enabled, author, message, updatedAt, sha256: content }: PolicyDocument): string {
  return sha256(JSON.stringify([id, content, enabled, author, message, updatedAt])).slice(0, 32)
}

/** How often the documents of the transaction's tenant were written; read it before them. */
export async function policyRevision(tx: Tx): Promise<number> {
  const head = await tx.maybe<{ revision: number }>(sql`select revision from policy_heads`)
  return head?.revision ?? 0
}

/** All documents of the transaction's tenant, by id in byte order. */
export async function listDocuments(tx: Tx): Promise<PolicyDocument[]> {
  const rows = await tx.many<PolicyDocument>(sql`select ${COLUMNS} from policy_documents`)
  return rows.sort((a, b) => byteOrder(a.id, b.id))
}

/** One document. Throws RES_NOT_FOUND. */
export async function getDocument(tx: Tx, id: string): Promise<PolicyDocument> {
  const row = await tx.maybe<PolicyDocument>(sql`select ${COLUMNS} from policy_documents where id = ${id}`)
  if (!row) throw new Fault('RES_NOT_FOUND', { id }, { message: 'bundle not found' })
  return row
}

/** Writes a document after checking that it parses. Throws VAL_SCHEMA with every problem; nothing is written then. */
export async function putDocument(tx: Tx, now: Instant, write: PolicyWrite): Promise<PolicyDocument> {
  const { id, content } = write
  checkContent(content)
  // The row of the head is the lock: writes of one tenant's policy come one after the other.
  await raiseRevision(tx, tx.tenantId, now)
  const known = await tx.maybe<PolicyDocument>(sql`select ${COLUMNS} from policy_documents where id = ${id}`)
  write.expect?.(known)
  if (!known) await refuseTooMany(tx)
  return tx.one<PolicyDocument>(sql`
    insert into policy_documents (tenant_id, id, content, enabled, author, message, version, sha256, installed_at, created_at, updated_at)
    values (${tx.tenantId}, ${id}, ${content}, ${write.enabled ?? known?.enabled ?? false}, ${write.author ?? known?.author ?? ''},
      ${write.message ?? known?.message ?? ''}, ${write.version ?? known?.version ?? ''}, ${sha256(content)},
      ${at(write.installedAt ?? known?.installedAt)}, ${at(now)}, ${at(now)})
    on conflict (tenant_id, id) do update set content = excluded.content, enabled = excluded.enabled, author = excluded.author,
      message = excluded.message, version = excluded.version, sha256 = excluded.sha256, installed_at = excluded.installed_at,
      updated_at = excluded.updated_at
    returning ${COLUMNS}`)
}

async function refuseTooMany(tx: Tx): Promise<void> {
  const { count } = await tx.one<{ count: number }>(sql`select count(*)::int as count from policy_documents`)
  if (count < MAX_DOCUMENTS) return
  throw new Fault(
    'VAL_INVALID_RANGE',
    { max: MAX_DOCUMENTS },
    { message: `A tenant has at most ${MAX_DOCUMENTS} policy bundles` },
  )
}

/** Removes a document, as the uninstallation of a pack does. False when there was none; `expect` as with a write. */
export async function deleteDocument(
  tx: Tx,
  now: Instant,
  id: string,
  expect?: PolicyWrite['expect'],
): Promise<boolean> {
  await raiseRevision(tx, tx.tenantId, now)
  expect?.(await tx.maybe<PolicyDocument>(sql`select ${COLUMNS} from policy_documents where id = ${id}`))
  return (await tx.run(sql`delete from policy_documents where id = ${id}`)) > 0
}

/** Refuses content that does not parse, with the surface's documented words (jobs.md 10). */
export function checkContent(content: string): void {
  if (content.trim() === '') throw new Fault('VAL_SCHEMA', {}, { message: 'content required' })
  try {
    parsePolicy(content)
  } catch (error) {
    if (!(error instanceof PolicySyntaxError)) throw error
    const message = `invalid policy content: ${error.message}`
    throw new Fault('VAL_SCHEMA', { problems: error.problems }, { message, cause: error })
  }
}

/**
 * Marks the policy of a tenant as changed and holds it against other writers until the commit. Whoever writes calls
 * `PolicyEngine.changed()` after the commit, so that it takes effect at once; the sweep finds it otherwise. With
 * `expected`, throws RES_VERSION_CONFLICT when somebody wrote since that revision.
 */
export async function raiseRevision(tx: Tx, tenantId: string, now: Instant, expected?: number): Promise<void> {
  const { revision } = await tx.one<{ revision: number }>(sql`
    insert into policy_heads (tenant_id, revision, changed_at) values (${tenantId}, 1, ${at(now)})
    on conflict (tenant_id) do update set revision = policy_heads.revision + 1, changed_at = excluded.changed_at
    returning revision`)
  if (expected !== undefined && revision - 1 !== expected) throw policyConflict()
}

/**
 * Gives a new tenant its first policy: the built-in one, or the file that the configuration names. Works in the
 * transaction that makes the tenant, and is repeatable: a policy that is there stays as it is. Throws VAL_SCHEMA for a
 * file that does not parse.
 */
export async function installDefaultPolicy(
  tx: Tx,
  now: Instant,
  tenantId: string,
  options: { readonly content?: string | undefined; readonly defaultDecision?: 'allow' | 'deny' | undefined } = {},
): Promise<void> {
  const { defaultDecision = 'allow' } = options
  const content =
    options.content ?? DEFAULT_POLICY.replace(/^default_decision: allow$/m, `default_decision: ${defaultDecision}`)
  checkContent(content)
  const written = await tx.run(sql`
    insert into policy_documents (tenant_id, id, content, enabled, author, message, sha256, created_at, updated_at)
    values (${tenantId}, ${DEFAULT_POLICY_ID}, ${content}, true, 'wheelhouse', 'The policy that the tenant began with',
      ${sha256(content)}, ${at(now)}, ${at(now)})
    on conflict do nothing`)
  if (written > 0) await raiseRevision(tx, tenantId, now)
}
