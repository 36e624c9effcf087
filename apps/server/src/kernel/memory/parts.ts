import { Fault } from '@wheelhouse/contract'
import type { Instant } from '../clock/index.ts'
import { at, jsonb, sql, type Tx } from '../db/index.ts'
import { type MemoryEvent, recentEvents, replaceEvents } from './events.ts'
import { memoryName, type MemoryPart } from './keys.ts'

/** A chunk of text in a memory (jobs.md 28). */
export interface Chunk {
  path: string
  language?: string
  bytes?: number
  loc?: number
  content: string
}

/** A memory holds at most so many chunks. */
const MAX_CHUNKS = 10_000

/** What stands under a part of a memory, in the wrapper of jobs.md 16; undefined when there is nothing. */
export async function readPart(tx: Tx, part: MemoryPart, now: Instant): Promise<Record<string, unknown> | undefined> {
  if (part.kind === 'events') {
    const items = await recentEvents(tx, part.memoryId)
    return items.length === 0 ? undefined : { redis_type: 'list', length: items.length, items }
  }
  if (part.kind === 'chunks') {
    const names = await tx.many<{ name: string }>(
      sql`select name from memory_chunks where memory_id = ${part.memoryId} and expires_at > ${at(now)} order by name limit ${MAX_CHUNKS}`,
    )
    const items = names.map(({ name }) => `mem:${part.memoryId}:chunk:${name}`)
    return items.length === 0 ? undefined : { redis_type: 'set', length: items.length, items }
  }
  if (part.kind !== 'chunk') return undefined
  const chunk = await tx.maybe<{ body: unknown }>(
    sql`select body from memory_chunks where memory_id = ${part.memoryId} and name = ${part.name} and expires_at > ${at(now)}`,
  )
  return chunk && { redis_type: 'string', value: chunk.body }
}

/**
 * Stores a part of a memory: all its events as a list, or one chunk. Throws VAL_SCHEMA for what is neither; the set of chunks is made
 * of the chunks themselves.
 */
export async function writePart(tx: Tx, part: MemoryPart, value: unknown, now: Instant, lifeMs: number): Promise<void> {
  if (part.kind === 'events') return replaceEvents(tx, part.memoryId, eventsOf(value, now))
  if (part.kind !== 'chunk') throw bad('the chunks of a memory are those stored under mem:<id>:chunk:<name>')
  const chunk = chunkOf(value)
  // Each look into a memory reads all of them.
  const { n } = await tx.one<{ n: number }>(sql`
    select count(*)::int as n from memory_chunks where memory_id = ${part.memoryId} and name <> ${part.name} and expires_at > ${at(now)}`)
  if (n >= MAX_CHUNKS) throw bad(`a memory has at most ${MAX_CHUNKS} chunks; let some expire, or use another memory`)
  await tx.run(sql`
    insert into memory_chunks (tenant_id, memory_id, name, body, expires_at)
    values (${tx.tenantId}, ${part.memoryId}, ${part.name}, ${jsonb(chunk)}, ${at(now + lifeMs)})
    on conflict (tenant_id, memory_id, name) do update set body = excluded.body, expires_at = excluded.expires_at`)
}

/** Chunks of a memory whose path contains the file's path or is contained in it (jobs.md 28); at most 200, by path. */
export async function chunksFor(tx: Tx, memoryId: string, filePath: string, now: Instant): Promise<Chunk[]> {
  const rows = await tx.many<{ body: Chunk }>(sql`
    select body from memory_chunks
     where memory_id = ${memoryName(memoryId)} and expires_at > ${at(now)}
       and (strpos(body ->> 'path', ${filePath}) > 0 or strpos(${filePath}, body ->> 'path') > 0)
     order by name limit 200`)
  return rows.map(({ body }) => body)
}

const bad = (message: string): Fault => new Fault('VAL_SCHEMA', {}, { message })

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function chunkOf(value: unknown): Chunk {
  if (!isRecord(value)) throw bad('a chunk is an object with path and content')
  const { path, content } = value
  if (typeof path !== 'string' || path === '' || typeof content !== 'string')
    throw bad('a chunk is an object with path and content')
  return { ...value, path, content }
}

function eventsOf(value: unknown, now: Instant): MemoryEvent[] {
  if (!Array.isArray(value)) throw bad('events are a list of {role, content, ts}')
  return value.map((each: unknown) => {
    if (!isRecord(each)) throw bad('events are a list of {role, content, ts}')
    const { role, content, ts } = each
    if (typeof role !== 'string' || typeof content !== 'string') throw bad('an event has a role and a content')
    return { ...each, role, content, ts: typeof ts === 'number' ? ts : Math.floor(now / 1000) }
  })
}
