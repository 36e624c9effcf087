import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type Header, pack } from 'tar-stream'
import type { Answer, World } from './world.ts'

/** An entry that is more than a path and its text. */
export type BundleEntry = Partial<Header> & { name: string; content?: string | Buffer }

/** A `.tgz` of files (or of any entries at all, for bundles that break the rules). */
export async function bundleOf(
  files: Readonly<Record<string, string | Buffer>> | readonly BundleEntry[],
): Promise<Buffer> {
  const entries: readonly BundleEntry[] = Array.isArray(files)
    ? files
    : Object.entries(files).map(([name, content]) => ({ name, content: content as string | Buffer }))
  const archive = pack()
  const chunks: Buffer[] = []
  const read = (async () => {
    for await (const chunk of archive as AsyncIterable<Buffer>) chunks.push(chunk)
  })()
  for (const { content = '', ...header } of entries) {
    if (header.type === undefined || header.type === 'file') archive.entry(header, content)
    else archive.entry({ ...header, size: 0 }, '')
  }
  archive.finalize()
  await read
  return gzipSync(Buffer.concat(chunks))
}

/** The files of a folder by their paths in it. */
export function filesOf(folder: string): Record<string, Buffer> {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((each) => each.isFile())
  return Object.fromEntries(
    names.map((each) => {
      const path = join(each.parentPath, each.name)
      return [relative(folder, path), readFileSync(path)]
    }),
  )
}

export const sha256Of = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex')

/** Sends the install form. */
export async function installBundle(
  world: World,
  bundle: Uint8Array,
  options: { as?: string; fields?: Record<string, string | Uint8Array>; name?: string } = {},
): Promise<Answer> {
  const { as = world.a.keys.admin, fields = {}, name = 'pack.tgz' } = options
  const form = new FormData()
  form.set('bundle', new Blob([bundle as Uint8Array<ArrayBuffer>]), name)
  for (const [field, value] of Object.entries(fields)) {
    if (typeof value === 'string') form.set(field, value)
    else form.set(field, new Blob([value as Uint8Array<ArrayBuffer>]), field)
  }
  const response = await fetch(`${world.url}/api/v1/packs/install`, {
    method: 'POST',
    headers: { authorization: `Bearer ${as}` },
    body: form,
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: text === '' ? null : JSON.parse(text) }
}
