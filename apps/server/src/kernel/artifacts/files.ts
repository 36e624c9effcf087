import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Instant } from '../clock/index.ts'
import { crashPoint } from '../crash/index.ts'

/** Files named by the SHA-256 of their content, one folder a tenant. */
export interface BlobFiles {
  /** Writes unless it is there; on disk, with its name, when this returns. */
  write(tenantId: string, sha256: string, content: Buffer): Promise<void>
  read(tenantId: string, sha256: string): Promise<Buffer | undefined>
  remove(tenantId: string, sha256: string): Promise<void>
  /** Files last written before `before`, folder by folder; half-written ones among them are removed on the way. */
  old(before: Instant): AsyncIterable<{ tenantId: string; hashes: string[] }>
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export function openBlobFiles(folder: string): BlobFiles {
  const pathOf = (tenantId: string, sha256: string): string => join(folder, tenantId, sha256.slice(0, 2), sha256)
  return {
    async write(tenantId, sha256, content) {
      const path = pathOf(tenantId, sha256)
      const known = await stat(path).catch(absent)
      if (known?.size === content.length) return
      const parent = dirname(path)
      await mkdir(parent, { recursive: true, mode: 0o700 })
      const half = join(parent, `.${sha256}.${randomBytes(6).toString('hex')}`)
      try {
        await synced(half, 'wx', async (file) => file.writeFile(content))
        crashPoint('artifact:before-rename')
        await rename(half, path)
      } catch (error) {
        await rm(half, { force: true })
        throw error
      }
      // The names too must outlive a loss of power.
      for (const each of [parent, dirname(parent), folder]) await synced(each, 'r', async () => {})
      crashPoint('artifact:after-rename')
    },
    async read(tenantId, sha256) {
      return readFile(pathOf(tenantId, sha256)).catch(absent)
    },
    remove: (tenantId, sha256) => rm(pathOf(tenantId, sha256), { force: true }),
    async *old(before) {
      for (const tenantId of (await namesIn(folder)).filter((name) => UUID.test(name)))
        for (const part of await namesIn(join(folder, tenantId))) {
          const parent = join(folder, tenantId, part)
          const hashes: string[] = []
          for (const name of await namesIn(parent)) {
            const facts = await stat(join(parent, name)).catch(absent)
            if (!facts || facts.mtimeMs >= before) continue
            // Its writer died: one that lives is done within moments.
            if (name.startsWith('.')) await rm(join(parent, name), { force: true })
            else if (/^[0-9a-f]{64}$/.test(name)) hashes.push(name)
          }
          if (hashes.length > 0) yield { tenantId, hashes }
        }
    },
  }
}

const namesIn = async (path: string): Promise<string[]> => (await readdir(path).catch(absent)) ?? []

async function synced(
  path: string,
  flags: 'wx' | 'r',
  use: (file: Awaited<ReturnType<typeof open>>) => Promise<void>,
): Promise<void> {
  const file = await open(path, flags, 0o600)
  try {
    await use(file)
    await file.sync()
  } finally {
    await file.close()
  }
}

function absent(error: unknown): undefined {
  if (typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT') return undefined
  throw error
}
