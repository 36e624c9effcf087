import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'

/** SHA-256, lower-case hex. */
export function sha256(data: string): string {
  return createHash('sha256').update(data).digest('hex')
}

/** SHA-256 of the canonical JSON (RFC 8785) of a value: the same for the same content, whatever the order of keys. */
export function contentHash(value: unknown): string {
  const text = canonicalize(value)
  if (text === undefined) throw new TypeError('only JSON values can be hashed')
  return sha256(text)
}

/**
 * The hash that an approval binds (jobs.md 17.7, 20.8): of the whole request but labels beginning `approval_`, label
 * `cordum.bus_msg_id` and env `CORDUM_EFFECTIVE_CONFIG`, which change on the way without changing what is asked for.
 * The copies of labels in `meta` are treated alike. Empty maps and absent ones hash the same.
 */
export function jobHash(request: Readonly<Record<string, unknown>>): string {
  const { labels, env, meta, ...rest } = request
  const hashed: Record<string, unknown> = { ...rest }
  put(hashed, 'labels', without(labels, passing))
  put(
    hashed,
    'env',
    without(env, (key) => key === 'CORDUM_EFFECTIVE_CONFIG'),
  )
  if (isRecord(meta)) {
    const { labels: copies, ...others } = meta
    const kept: Record<string, unknown> = { ...others }
    put(kept, 'labels', without(copies, passing))
    put(hashed, 'meta', kept)
  }
  return contentHash(hashed)
}

function passing(key: string): boolean {
  return key.toLowerCase().startsWith('approval_') || key === 'cordum.bus_msg_id'
}

function without(value: unknown, drop: (key: string) => boolean): Record<string, unknown> {
  return isRecord(value) ? Object.fromEntries(Object.entries(value).filter(([key]) => !drop(key))) : {}
}

function put(into: Record<string, unknown>, key: string, value: Record<string, unknown>): void {
  if (Object.keys(value).length > 0) into[key] = value
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

/**
 * The id of what is loaded (jobs.md 20.5): the base as `<version>:<sha256>` (or the hash alone), the fragments as
 * `cfg:<sha256>` over id, NUL and content in the order of their ids, both joined by `|`.
 */
export function snapshotId(
  base: { version: string; content: string } | undefined,
  fragments: readonly { id: string; content: string }[],
): string {
  const parts: string[] = []
  if (base) parts.push(base.version === '' ? sha256(base.content) : `${base.version}:${sha256(base.content)}`)
  if (fragments.length > 0) {
    const sorted = fragments.toSorted((a, b) => byteOrder(a.id, b.id))
    parts.push(`cfg:${sha256(sorted.map(({ id, content }) => `${id}\0${content}`).join(''))}`)
  }
  return parts.join('|')
}

/** Compares ids byte by byte (jobs.md 20.4). */
export function byteOrder(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
