import { createHash } from 'node:crypto'
import { Fault } from '@wheelhouse/contract'
import type { Logger } from 'pino'
import { type Clock, ids, type Instant } from '../clock/index.ts'
import { at, type Db, jsonb, sql, type Tx } from '../db/index.ts'
import type { Principal } from '../identity/index.ts'
import { type BlobFiles, openBlobFiles } from './files.ts'

export const RETENTIONS = ['short', 'standard', 'audit'] as const
export type Retention = (typeof RETENTIONS)[number]

export interface Artifact {
  id: string
  sha256: string
  sizeBytes: number
  contentType: string
  retention: Retention
  labels: Record<string, string>
  createdAt: Instant
  expiresAt: Instant
}

export interface NewArtifact {
  content: Buffer
  contentType?: string
  retention?: Retention
  labels?: Readonly<Record<string, string>>
  /** The caller's own bound in bytes, below the installation's. */
  maxBytes?: number
}

/** Blobs that jobs and people leave behind: content-addressed files, fsynced before their row is written (jobs.md 27). */
export interface Artifacts {
  /** Stores a blob. Durable when this returns. Throws VAL_BODY_TOO_LARGE. */
  put(principal: Principal, artifact: NewArtifact): Promise<Artifact>
  /** The blob and what is known of it; throws RES_NOT_FOUND for what is unknown, expired or another tenant's. */
  read(tenantId: string, id: string): Promise<{ artifact: Artifact; content: Buffer }>
  find(tx: Tx, id: string): Promise<Artifact | undefined>
  /** The blob of an artifact that was found; for whoever is in a transaction already. Throws RES_NOT_FOUND where its file is gone. */
  content(tenantId: string, artifact: Pick<Artifact, 'id' | 'sha256'>): Promise<Buffer>
  /** Removes what has expired. Returns how many rows went. */
  sweep(): Promise<number>
  /** Removes files that no row names: a process died between the file and its row. Returns how many went. */
  sweepOrphans(signal: AbortSignal): Promise<number>
}

/** Younger files may still get their row. */
const ORPHAN_MS = 3_600_000

export interface ArtifactsOptions {
  db: Db
  clock: Clock
  log: Logger
  /** Folder of the files. */
  folder: string
  maxBytes: number
  lifeMs: Readonly<Record<Retention, number>>
}

const columns = sql`id, sha256, size_bytes as "sizeBytes", content_type as "contentType", retention, labels, created_at as "createdAt",
  expires_at as "expiresAt"`

const missing = (): Fault => new Fault('RES_NOT_FOUND', {}, { message: 'artifact not found' })

/** Held while a file of this content is written with its row, or removed with its last one. */
const lockContent = (tx: Tx, tenantId: string, sha256: string): Promise<number> =>
  tx.run(sql`select pg_advisory_xact_lock(hashtextextended(${`artifact ${tenantId} ${sha256}`}, 0))`)

export function openArtifacts({ db, clock, log, folder, maxBytes, lifeMs }: ArtifactsOptions): Artifacts {
  const files: BlobFiles = openBlobFiles(folder)

  async function removeOne(tenantId: string, id: string): Promise<void> {
    await db.tenant(tenantId, async (tx) => {
      const row = await tx.maybe<{ sha256: string }>(sql`delete from artifacts where id = ${id} returning sha256`)
      if (!row) return
      await lockContent(tx, tenantId, row.sha256)
      const other = await tx.maybe(sql`select 1 from artifacts where sha256 = ${row.sha256} limit 1`)
      // Still under the lock, so that nobody finds the file there and relies on it. Should the commit fail, the row has expired anyway.
      if (!other) await files.remove(tenantId, row.sha256)
    })
  }

  return {
    async put(principal, { content, contentType = '', retention = 'standard', labels = {}, maxBytes: most }) {
      if (content.length > Math.min(maxBytes, most ?? Infinity))
        throw new Fault('VAL_BODY_TOO_LARGE', {}, { message: 'artifact too large' })
      const { tenantId } = principal
      const sha256 = createHash('sha256').update(content).digest('hex')
      const now = clock.now()
      return db.tenant(tenantId, async (tx) => {
        await lockContent(tx, tenantId, sha256)
        await files.write(tenantId, sha256, content)
        return tx.one<Artifact>(sql`
          insert into artifacts (tenant_id, id, sha256, size_bytes, content_type, retention, labels, created_by, created_at, expires_at)
          values (${tenantId}, ${ids.next()}, ${sha256}, ${content.length}, ${contentType}, ${retention},
            ${jsonb({ ...labels, tenant_id: principal.tenantSlug })}, ${principal.id}, ${at(now)}, ${at(now + lifeMs[retention])})
          returning ${columns}`)
      })
    },

    async read(tenantId, id) {
      const artifact = await db.tenant(tenantId, (tx) => this.find(tx, id))
      if (!artifact) throw missing()
      return { artifact, content: await this.content(tenantId, artifact) }
    },

    async content(tenantId, { id, sha256 }) {
      const content = await files.read(tenantId, sha256)
      if (!content) {
        log.error({ tenantId, id }, 'The file of an artifact is not there')
        throw missing()
      }
      if (createHash('sha256').update(content).digest('hex') !== sha256)
        throw new Error(`The file of artifact ${id} is damaged`)
      return content
    },

    find: (tx, id) =>
      tx.maybe<Artifact>(
        sql`select ${columns} from artifacts where id::text = ${id} and expires_at > ${at(clock.now())}`,
      ),

    async sweep() {
      const due = await db.engine((tx) =>
        tx.many<{ tenant_id: string; id: string }>(
          sql`select tenant_id, id from artifacts where expires_at <= ${at(clock.now())} order by expires_at limit 1000`,
        ),
      )
      for (const row of due) await removeOne(row.tenant_id, row.id)
      return due.length
    },

    async sweepOrphans(signal) {
      let gone = 0
      for await (const { tenantId, hashes } of files.old(clock.now() - ORPHAN_MS)) {
        if (signal.aborted) break
        const named = await db.tenant(tenantId, (tx) =>
          tx.many<{ sha256: string }>(sql`select distinct sha256 from artifacts where sha256 = any(${hashes})`),
        )
        const known = new Set(named.map(({ sha256 }) => sha256))
        for (const sha256 of hashes.filter((each) => !known.has(each))) {
          gone += await db.tenant(tenantId, async (tx) => {
            await lockContent(tx, tenantId, sha256)
            // Asked again under the lock: equal content may just have been stored.
            if (await tx.maybe(sql`select 1 from artifacts where sha256 = ${sha256} limit 1`)) return 0
            await files.remove(tenantId, sha256)
            return 1
          })
        }
      }
      if (gone > 0) log.info({ files: gone }, 'Files without an artifact were removed')
      return gone
    },
  }
}
