import { isUtf8 } from 'node:buffer'
import { Fault } from '@wheelhouse/contract'
import type { RedisValue } from '../../kernel/jobs/index.ts'

const refused = (message: string): Fault => new Fault('VAL_SCHEMA', {}, { message })

const KINDS = { ctx: 'context', res: 'result', mem: 'memory' } as const

export interface MemoryKey {
  key: string
  kind: (typeof KINDS)[keyof typeof KINDS]
}

const clean = (text: string): string => text.trim().replace(/^["']+|["']+$/g, '')

/** The key that `ptr` or `key` names (jobs.md §16); everything after `redis://` is the key. Throws in the document's words. */
export function memoryKey(query: { ptr?: string | undefined; key?: string | undefined }): MemoryKey {
  const ptr = clean(query.ptr ?? '')
  const raw = clean(query.key ?? '')
  if (ptr === '' && raw === '') throw refused('missing ptr or key')
  const named = ptr === '' ? fromKey(raw) : fromPointer(ptr, 'invalid pointer')
  // jobs.md §28: the ids of API jobs begin with `mem:` already; one memory has one name.
  const key = named.replace(/^(?:mem:)+/, 'mem:')
  const [, prefix, rest] = /^(ctx|res|mem):(.+)$/s.exec(key) ?? []
  if (prefix === undefined || rest === undefined) throw refused('unsupported pointer key (only ctx:*, res:*, or mem:*)')
  return { key, kind: KINDS[prefix as keyof typeof KINDS] }
}

const fromKey = (raw: string): string => (raw.includes('://') ? fromPointer(raw, 'invalid key pointer') : raw)

function fromPointer(pointer: string, problem: string): string {
  const key = /^redis:\/\/(.+)$/s.exec(pointer)?.[1]
  if (key === undefined) throw refused(problem)
  return key
}

/** The JSON wrapper in which memories are shown (jobs.md §16). */
export function wrapped(bytes: Buffer): Buffer {
  const parsed = isUtf8(bytes) ? jsonOf(bytes.toString()) : undefined
  const wrapper =
    parsed !== undefined
      ? { redis_type: 'string', value: parsed.value }
      : isUtf8(bytes)
        ? { redis_type: 'string', value: bytes.toString() }
        : { redis_type: 'string', base64: bytes.toString('base64') }
  return Buffer.from(JSON.stringify(wrapper))
}

function jsonOf(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) as unknown }
  } catch {
    return undefined
  }
}

/** The answer of jobs.md §16 for the bytes behind a key. */
export function shownValue({ key, kind }: MemoryKey, bytes: Buffer) {
  const text = isUtf8(bytes) ? bytes.toString() : undefined
  const json = text === undefined ? undefined : jsonOf(text)
  return {
    pointer: `redis://${key}`,
    key,
    kind,
    size_bytes: bytes.length,
    base64: bytes.toString('base64'),
    ...(text === undefined ? {} : { text }),
    ...(json === undefined ? {} : { json: json.value }),
  }
}

/** The same for a value of a Redis: whatever its kind, memories are shown in the wrapper; contexts and results as they are. */
export function shownElsewhere(key: MemoryKey, value: RedisValue) {
  if (value.redis_type === 'string') return shownValue(key, key.kind === 'memory' ? wrapped(value.bytes) : value.bytes)
  return shownValue(key, Buffer.from(JSON.stringify(value)))
}
