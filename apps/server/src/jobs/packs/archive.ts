import { createHash } from 'node:crypto'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { Fault } from '@wheelhouse/contract'
import { PACK_BYTES } from '@wheelhouse/contract/jobs/packs'
import { extract } from 'tar-stream'

type Entries = ReturnType<typeof extract>
type Entry = Entries extends AsyncIterable<infer E> ? E : never

/** A file of a bundle. Its content is kept only where a definition could stand in it. */
interface BundleFile {
  sha256: string
  content: Buffer | undefined
}

/** What a bundle holds, by paths relative to the folder that `pack.yaml` stands in. */
export interface Bundle {
  /** Of the archive's bytes. */
  sha256: string
  /** Of what is in it, apart from `pack.sig`: what an embedded signature is made over. */
  contentSha256: string
  manifest: Buffer
  signature: Buffer | undefined
  /** The content of a file that the manifest names. Throws VAL_SCHEMA when there is none, or it is larger than a definition can be. */
  read(path: string): Buffer
}

/** jobs.md 24.1. */
const MAX_FILES = 2048
const MAX_FILE_BYTES = 32 * 1024 * 1024
const MAX_UNPACKED_BYTES = 256 * 1024 * 1024
/** Definitions are far smaller; what is larger is informational and only hashed. */
const MAX_DEFINITION_BYTES = 1024 * 1024
/** Headers and padding of so many files. */
const MAX_TAR_BYTES = MAX_UNPACKED_BYTES + MAX_FILES * 4096

const SIGNATURE_FILE = 'pack.sig'

const refuse = (message: string, cause?: unknown): never => {
  throw new Fault('VAL_SCHEMA', {}, { message: `invalid pack bundle: ${message}`, cause })
}

/** One bundle is unpacked at a time: each may take the memory of all. */
let unpacking: Promise<unknown> = Promise.resolve()

/** Reads a `.tgz` in memory; nothing is written and nothing in it is executed. Throws VAL_SCHEMA for what breaks the limits. */
export function readBundle(bytes: Uint8Array): Promise<Bundle> {
  const turn = unpacking.then(() => unpack(bytes))
  unpacking = turn.catch(() => undefined)
  return turn
}

async function unpack(bytes: Uint8Array): Promise<Bundle> {
  if (bytes.length > PACK_BYTES) refuse(`it is larger than ${PACK_BYTES} bytes`)
  const files = await readFiles(bytes)
  const root = rootOf(files)
  const own = new Map(
    [...files].filter(([path]) => path.startsWith(root)).map(([path, file]) => [path.slice(root.length), file]),
  )
  return {
    sha256: createHash('sha256').update(bytes).digest('hex'),
    contentSha256: contentHash(own),
    manifest: definition(own, own.has('pack.yaml') ? 'pack.yaml' : 'pack.yml'),
    signature: own.get(SIGNATURE_FILE)?.content,
    read: (path) => definition(own, cleanPath(path)),
  }
}

function definition(files: ReadonlyMap<string, BundleFile>, path: string): Buffer {
  const file = files.get(path) ?? refuse(`it has no file ${path}`)
  return file.content ?? refuse(`${path} is larger than ${MAX_DEFINITION_BYTES} bytes`)
}

/** One line `<sha256>  <path>` a file, in the byte order of paths. */
function contentHash(files: ReadonlyMap<string, BundleFile>): string {
  const lines = [...files]
    .filter(([path]) => path !== SIGNATURE_FILE)
    .map(([path, { sha256 }]): [Buffer, string] => [Buffer.from(path), `${sha256}  ${path}\n`])
    .sort(([a], [b]) => Buffer.compare(a, b))
    .map(([, line]) => line)
  return createHash('sha256').update(lines.join('')).digest('hex')
}

async function readFiles(bytes: Uint8Array): Promise<Map<string, BundleFile>> {
  const files = new Map<string, BundleFile>()
  const entries = extract()
  let tarBytes = 0
  const bounded = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      tarBytes += chunk.length
      if (tarBytes > MAX_TAR_BYTES) done(new Error(`it unpacks to more than ${MAX_UNPACKED_BYTES} bytes`))
      else done(null, chunk)
    },
  })
  let failure: unknown
  const feeding = pipeline(Readable.from([bytes]), createGunzip(), bounded, entries).catch((error: unknown) => {
    failure ??= error
  })
  try {
    await readEntries(entries, files)
  } catch (error) {
    // What the feeding side met is the cause of what the reading side sees.
    if (error instanceof Fault) failure = error
    else failure ??= error
    entries.destroy()
  }
  await feeding
  if (failure instanceof Fault) throw failure
  if (failure !== undefined)
    refuse(failure instanceof Error ? failure.message : 'it is no gzip-compressed tar archive', failure)
  return files
}

async function readEntries(entries: Entries, files: Map<string, BundleFile>): Promise<void> {
  let unpacked = 0
  let count = 0
  for await (const entry of entries) {
    const { name, type, size } = entry.header
    if ((count += 1) > MAX_FILES) refuse(`it has more than ${MAX_FILES} files`)
    if (type !== 'file' && type !== 'directory' && type !== 'contiguous-file')
      refuse(`${shown(name)} is a ${type}; only regular files and folders are taken`)
    const path = cleanPath(name)
    if (size > MAX_FILE_BYTES) refuse(`${shown(name)} is larger than ${MAX_FILE_BYTES} bytes`)
    if ((unpacked += size) > MAX_UNPACKED_BYTES) refuse(`it unpacks to more than ${MAX_UNPACKED_BYTES} bytes`)
    if (type === 'directory') {
      entry.resume()
      continue
    }
    if (path === '') refuse('a file in it has no name')
    if (files.has(path)) refuse(`${shown(path)} stands in it twice`)
    files.set(path, await readFile(entry, size))
  }
}

async function readFile(entry: Entry, size: number): Promise<BundleFile> {
  const hash = createHash('sha256')
  const chunks: Buffer[] = []
  const isKept = size <= MAX_DEFINITION_BYTES
  for await (const chunk of entry as AsyncIterable<Buffer>) {
    hash.update(chunk)
    if (isKept) chunks.push(chunk)
  }
  return { sha256: hash.digest('hex'), content: isKept ? Buffer.concat(chunks) : undefined }
}

const shown = (path: string): string => JSON.stringify(path.slice(0, 120))

/** A path inside the bundle without `.` segments. Throws VAL_SCHEMA for one that leads out of it. */
function cleanPath(path: string): string {
  if (/[\\\p{Cc}]/u.test(path) || path.startsWith('/') || /^[A-Za-z]:/.test(path))
    refuse(`the path ${shown(path)} is not inside the bundle`)
  const segments = path.split('/').filter((each) => each !== '' && each !== '.')
  if (segments.includes('..')) refuse(`the path ${shown(path)} is not inside the bundle`)
  return segments.join('/')
}

/** `pack.yaml` stands at the root, or in the one folder there. */
function rootOf(files: ReadonlyMap<string, BundleFile>): string {
  const has = (root: string): boolean => files.has(`${root}pack.yaml`) || files.has(`${root}pack.yml`)
  if (has('')) return ''
  const tops = new Set([...files.keys()].map((path) => path.split('/')[0] ?? ''))
  const [top] = tops
  return tops.size === 1 && has(`${top}/`) ? `${top}/` : refuse('pack.yaml not found at its root or in its one folder')
}
