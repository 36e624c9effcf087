import type { PackRecord } from '@wheelhouse/contract/jobs/packs'
import type { Instant } from '../../kernel/clock/index.ts'
import type { Tx } from '../../kernel/db/index.ts'
import { type Data, type Document, findDocument, writeDocument } from '../../kernel/tenant-config/index.ts'
import { readRecord } from './records.ts'

/** The pack registry is a document that cordumctl reads and rewrites too (jobs.md 24.3 step 4). */
export const REGISTRY_ID = 'packs'

/** Records by pack id, in the order of ids. */
export type Installed = ReadonlyMap<string, PackRecord>

/** The records of a registry document, in our casing whoever wrote it. */
export function recordsOf(data: Data): Installed {
  const { installed } = data
  if (typeof installed !== 'object' || installed === null) return new Map()
  const ids = Object.keys(installed).sort()
  return new Map(ids.map((id) => [id, readRecord(id, Reflect.get(installed, id))]))
}

/** The installed packs. With `lock`, nobody else changes any configuration of the tenant until the commit. */
export async function installedPacks(tx: Tx, lock?: 'lock'): Promise<Installed> {
  const document = await findDocument(tx, 'system', REGISTRY_ID, lock)
  return document ? recordsOf(document.data) : new Map()
}

/** Writes one pack's record among those that were read with `lock`. */
export async function writeRecord(tx: Tx, now: Instant, installed: Installed, record: PackRecord): Promise<void> {
  await writeDocument(tx, now, {
    scope: 'system',
    scopeId: REGISTRY_ID,
    data: { installed: Object.fromEntries([...installed, [record.id, record]]) },
  })
}

/** A whole registry, as a client sends it. What only we know of a bundle that stays the same is kept. */
export async function writeRegistry(
  tx: Tx,
  now: Instant,
  write: { data: Data; meta?: Readonly<Record<string, string>> | undefined; expected?: number | undefined },
): Promise<Document> {
  const before = await installedPacks(tx, 'lock')
  const installed = Object.fromEntries(
    [...recordsOf(write.data)].map(([id, record]) => {
      const old = before.get(id)
      if (!old || old.version !== record.version || record.sha256 !== undefined) return [id, record]
      const { sha256, signature } = old
      return [id, { ...record, ...(sha256 === undefined ? {} : { sha256 }), ...(signature ? { signature } : {}) }]
    }),
  )
  return writeDocument(tx, now, { ...write, scope: 'system', scopeId: REGISTRY_ID, data: { installed } })
}
