import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { createGzip } from 'node:zlib'
import { pack } from 'tar-stream'
import { CliError, EXIT } from '../exit.ts'

/** What the server takes at most (jobs.md 24.1). */
const MOST_FILES = 2048

/** A folder as a bundle. Names are sorted and times are nought, so that equal folders give equal bytes. */
export async function bundleFolder(folder: string): Promise<{ bytes: Buffer; files: number; sha256: string }> {
  const files = filesOf(folder)
  if (!files.some((name) => name === 'pack.yaml' || name === 'pack.yml'))
    throw new CliError(EXIT.usage, `${folder} has no pack.yaml.`, 'A pack is a folder with pack.yaml at its top.')
  if (files.length > MOST_FILES) throw new CliError(EXIT.usage, `${folder} has more than ${MOST_FILES} files.`)
  const archive = pack()
  const bytes = buffer(archive.pipe(createGzip({ level: 9 })))
  for (const name of files) {
    const content = readFileSync(join(folder, name))
    archive.entry({ name, size: content.length, mtime: new Date(0), mode: 0o644 }, content)
  }
  archive.finalize()
  const made = await bytes
  return { bytes: made, files: files.length, sha256: createHash('sha256').update(made).digest('hex') }
}

function filesOf(folder: string): string[] {
  let entries
  try {
    if (!statSync(folder).isDirectory()) throw new Error('not a folder')
    entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  } catch {
    throw new CliError(EXIT.usage, `${folder} is neither a .tgz nor a folder.`)
  }
  return entries
    .filter(
      (entry) =>
        entry.isFile() &&
        !relative(folder, entry.parentPath)
          .split('/')
          .some((part) => part.startsWith('.')) &&
        !entry.name.startsWith('.'),
    )
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .toSorted()
}
