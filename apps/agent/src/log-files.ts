import { readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { AgentPayload } from '@wheelhouse/sdk/agent-protocol'

type LogFile = AgentPayload<'logs:listed'>['files'][number]

const MOST_FILES = 500

/** Log files that can be followed: the configured ones and the plain ones beside them and in `/var/log`. Compressed and rotated ones are left out. */
export async function listLogFiles(configured: readonly string[]): Promise<LogFile[]> {
  const folders = new Set(['/var/log', ...configured.map((path) => dirname(path))])
  const names = await Promise.all(
    [...folders].map(async (folder) => {
      const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
      const files = entries
        .filter((entry) => entry.isFile() && isPlain(entry.name))
        .map((entry) => join(folder, entry.name))
      const inner = entries
        .filter((entry) => entry.isDirectory() && folder === '/var/log')
        .map((entry) => join(folder, entry.name))
      const nested = await Promise.all(inner.map((path) => listPlain(path)))
      return [...files, ...nested.flat()]
    }),
  )
  const paths = [...new Set([...configured, ...names.flat()])].slice(0, MOST_FILES)
  const files = await Promise.all(paths.map(describe))
  return files.filter((file) => file !== undefined).toSorted((a, b) => (a.path < b.path ? -1 : 1))
}

async function listPlain(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  return entries.filter((entry) => entry.isFile() && isPlain(entry.name)).map((entry) => join(folder, entry.name))
}

const isPlain = (name: string): boolean =>
  !/\.(gz|xz|bz2|zst|zip|journal|old|\d+)$/.test(name) && !/^(wtmp|btmp|lastlog|faillog)$/.test(name)

async function describe(path: string): Promise<LogFile | undefined> {
  const found = await stat(path).catch(() => undefined)
  return found?.isFile() ? { path, size_bytes: found.size, modified_at: found.mtime.toISOString() } : undefined
}
