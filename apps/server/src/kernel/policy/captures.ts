import { Fault } from '@wheelhouse/contract'
import { iso } from '../clock/index.ts'
import type { Instant } from '../clock/index.ts'
import { at, jsonb, sql, type Tx } from '../db/index.ts'
import { PolicySourceError, compilePolicy, type PolicySource } from './compile.ts'
import { byteOrder, contentHash, sha256 } from './hash.ts'
import type { Snapshot } from './snapshot.ts'
import { listDocuments, raiseRevision } from './store.ts'
import type { PolicyDocument } from './store.ts'

/** A document as it stands in a capture (the bundle object of jobs.md 20.4). */
export interface CapturedDocument {
  readonly content: string
  readonly enabled: boolean
  readonly author?: string
  readonly message?: string
  readonly version?: string
  readonly sha256?: string
  readonly installed_at?: string
  readonly created_at?: string
  readonly updated_at?: string
}

/** A copy of all documents (a bundle snapshot of jobs.md 10). */
export interface PolicyCapture {
  readonly id: string
  readonly note: string
  readonly createdAt: Instant
  readonly bundles: Readonly<Record<string, CapturedDocument>>
}

const KEPT = 10

/** Copies all documents. The newest ten copies are kept. */
export async function captureDocuments(tx: Tx, now: Instant, note = ''): Promise<PolicyCapture> {
  const bundles = Object.fromEntries(
    (await listDocuments(tx)).map((document) => [document.id, capturedDocument(document)]),
  )
  const seconds = iso(now).replace(/\.\d+Z$/, 'Z')
  const id = `${seconds}-${contentHash(bundles).slice(0, 10)}`
  await tx.run(sql`
    insert into policy_captures (tenant_id, id, note, bundles, created_at)
    values (${tx.tenantId}, ${id}, ${note}, ${jsonb(bundles)}, ${at(now)}) on conflict do nothing`)
  await tx.run(sql`
    delete from policy_captures where id in
      (select id from policy_captures order by created_at desc, id desc offset ${KEPT})`)
  return { id, note, createdAt: now, bundles }
}

/** The bundle object of jobs.md 20.4. */
export function capturedDocument(document: PolicyDocument): CapturedDocument {
  const { content, enabled, author, message, version, installedAt, createdAt, updatedAt } = document
  return {
    content,
    enabled,
    ...(author === '' ? {} : { author }),
    ...(message === '' ? {} : { message }),
    ...(version === '' ? {} : { version }),
    sha256: document.sha256,
    ...(installedAt === null ? {} : { installed_at: iso(installedAt) }),
    created_at: iso(createdAt),
    updated_at: iso(updatedAt),
  }
}

/** The captures, newest first, without their documents. */
export async function listCaptures(tx: Tx): Promise<Omit<PolicyCapture, 'bundles'>[]> {
  return tx.many(sql`select id, note, created_at as "createdAt" from policy_captures order by created_at desc, id desc`)
}

/** One capture. Throws RES_NOT_FOUND. */
export async function getCapture(tx: Tx, id: string): Promise<PolicyCapture> {
  const row = await tx.maybe<PolicyCapture>(
    sql`select id, note, bundles, created_at as "createdAt" from policy_captures where id = ${id}`,
  )
  if (!row) throw new Fault('RES_NOT_FOUND', { id }, { message: 'snapshot not found' })
  return row
}

/** Who changed the set, and what about it. */
export interface PolicyNote {
  readonly author?: string | undefined
  readonly message?: string | undefined
  readonly note?: string | undefined
  /** The revision that the writer has read; another one throws RES_VERSION_CONFLICT. */
  readonly revision?: number | undefined
}

/**
 * Enables `secops/` documents (those named, or all) after checking the whole set, with a capture before and after
 * (jobs.md 10). Throws VAL_SCHEMA when there is nothing to publish or the set does not compile.
 */
export async function publishDocuments(
  tx: Tx,
  now: Instant,
  wanted: PolicyNote & { readonly ids?: readonly string[] | undefined },
): Promise<{ before: PolicyCapture; after: PolicyCapture; published: string[] }> {
  await raiseRevision(tx, tx.tenantId, now, wanted.revision)
  const documents = await listDocuments(tx)
  if (documents.length === 0) throw new Fault('VAL_SCHEMA', {}, { message: 'no bundles configured' })
  const published = documents
    .map(({ id }) => id)
    .filter((id) => id.startsWith('secops/') && (!wanted.ids || wanted.ids.includes(id)))
  if (published.length === 0) throw new Fault('VAL_SCHEMA', {}, { message: 'no policy bundles to publish' })
  compileSet(
    documents.map((document) => ({ ...document, enabled: document.enabled || published.includes(document.id) })),
  )
  const before = await captureDocuments(tx, now, wanted.note)
  await tx.run(sql`
    update policy_documents set enabled = true, updated_at = ${at(now)},
      author = coalesce(${wanted.author ?? null}, author), message = coalesce(${wanted.message ?? null}, message)
     where id = any(${published})`)
  // A moment later, so that lists have it before the copy that it came from.
  return { before, after: await captureDocuments(tx, now + 1, wanted.note), published }
}

/** Puts the whole set back to a capture, fragments of packs included (jobs.md 10). Throws RES_NOT_FOUND, VAL_SCHEMA. */
export async function rollbackDocuments(
  tx: Tx,
  now: Instant,
  wanted: PolicyNote & { readonly captureId: string },
): Promise<{ before: PolicyCapture; after: PolicyCapture }> {
  await raiseRevision(tx, tx.tenantId, now, wanted.revision)
  const target = await getCapture(tx, wanted.captureId)
  const rows = Object.entries(target.bundles).sort(([a], [b]) => byteOrder(a, b))
  compileSet(rows.map(([id, { content, enabled }]) => ({ id, content, enabled })))
  const before = await captureDocuments(tx, now, wanted.note)
  await tx.run(sql`delete from policy_documents`)
  for (const [id, row] of rows) {
    await tx.run(sql`
      insert into policy_documents (tenant_id, id, content, enabled, author, message, version, sha256, installed_at, created_at, updated_at)
      values (${tx.tenantId}, ${id}, ${row.content}, ${row.enabled}, ${row.author ?? ''}, ${row.message ?? ''}, ${row.version ?? ''},
        ${sha256(row.content)}, ${row.installed_at ?? null}, ${row.created_at ?? iso(now)}, ${row.updated_at ?? iso(now)})`)
  }
  return { before, after: await captureDocuments(tx, now + 1, wanted.note) }
}

/** Compiles what callers put together, for their ears: throws VAL_SCHEMA that names the bundle which does not compile. */
export function compileSet(sources: readonly PolicySource[]): Snapshot | undefined {
  try {
    return compilePolicy(sources)
  } catch (error) {
    if (!(error instanceof PolicySourceError)) throw error
    const message = `invalid policy bundle ${error.sourceId}: ${(error.cause as Error).message}`
    throw new Fault('VAL_SCHEMA', { bundle: error.sourceId, problems: error.problems }, { message, cause: error })
  }
}
