import { Fault } from '@wheelhouse/contract'
import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import type { Clock } from '../clock/index.ts'
import { type Db, sql } from '../db/index.ts'
import { findTenant } from '../identity/index.ts'
import { parsePointer, writeValue } from './values.ts'

/** As long as contexts live in a Redis of workers (jobs.md 27). */
const CONTEXT_LIFE_S = 24 * 3600
/** What is taken over from a Redis, and shown of one of its lists. */
const MAX_BYTES = 16 * 1024 * 1024
const MAX_ITEMS = 10_000

/** A value of a Redis in the wrapper of jobs.md 16. */
export type RedisValue =
  | { redis_type: 'string'; bytes: Buffer }
  | { redis_type: 'list' | 'set'; length: number; items: unknown[] }
  | { redis_type: 'hash'; length: number; items: Record<string, unknown> }

/**
 * A real Redis behind `redis://` pointers, for workers that read and write it themselves (decisions D5): opt-in, and of one tenant alone,
 * because a Redis knows no tenants.
 */
export interface RedisPointers {
  /** Puts a job's context where its worker looks for it. Throws SYS_UNAVAILABLE while the Redis is away: the job is sent later. */
  offer(tenantId: string, jobId: string): Promise<void>
  /** Takes over the result that a worker left, before its job is recorded as ended. A Redis that is away costs the value, not the end. */
  collect(tenantId: string, jobId: string): Promise<void>
  /** What stands under a key; undefined for another tenant's, and where there is nothing. Throws SYS_UNAVAILABLE. */
  read(tenantId: string, key: string): Promise<RedisValue | undefined>
}

export interface RedisPointerOptions {
  redis: Redis
  /** Slug of the one tenant. */
  tenant: string
  lifeMs: number
}

export function openRedisPointers(
  { db, clock, log }: { db: Db; clock: Clock; log: Logger },
  { redis, tenant, lifeMs }: RedisPointerOptions,
): RedisPointers {
  let own: Promise<string | undefined> | undefined

  /** The tenant may be made after the server started; until then it is looked for again. */
  async function isOwn(tenantId: string): Promise<boolean> {
    own ??= db.auth((tx) => findTenant(tx, tenant)).then((found) => found?.id)
    const id = await own.catch(() => undefined)
    if (id === undefined) own = undefined
    return id === tenantId
  }

  async function asked<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask()
    } catch (error) {
      if (error instanceof Fault) throw error
      throw new Fault('SYS_UNAVAILABLE', { part: 'redis' }, { message: 'memory store unavailable', cause: error })
    }
  }

  return {
    async offer(tenantId, jobId) {
      if (!(await isOwn(tenantId))) return
      const job = await db.tenant(tenantId, (tx) =>
        tx.maybe<{ context: string | null }>(sql`select context from jobs where id = ${jobId}`),
      )
      const context = job?.context
      if (context == null) return
      await asked(() => redis.set(`ctx:${jobId}`, context, 'EX', CONTEXT_LIFE_S))
    },
    async collect(tenantId, jobId) {
      if (!(await isOwn(tenantId))) return
      try {
        const value = await redis.getBuffer(`res:${jobId}`)
        if (value === null || value.length > MAX_BYTES) return
        await db.tenant(tenantId, (tx) => writeValue(tx, `res:${jobId}`, value, clock.now(), lifeMs))
      } catch (error) {
        // Of a job that is not there, or has ended: its result counts no more.
        if (error instanceof Fault && error.status < 500) return
        log.warn({ err: error, jobId }, 'A result could not be taken over from Redis')
      }
    },
    async read(tenantId, key) {
      if (!parsePointer(key) || !(await isOwn(tenantId))) return undefined
      return asked(async () => {
        switch (await redis.type(key)) {
          case 'string': {
            const bytes = await redis.getBuffer(key)
            return bytes === null || bytes.length > MAX_BYTES ? undefined : { redis_type: 'string', bytes }
          }
          case 'list': {
            const items = await redis.lrange(key, 0, MAX_ITEMS - 1)
            return { redis_type: 'list', length: await redis.llen(key), items: items.map(decoded) }
          }
          case 'set': {
            const items = (await redis.smembers(key)).toSorted().slice(0, MAX_ITEMS)
            return { redis_type: 'set', length: await redis.scard(key), items: items.map(decoded) }
          }
          case 'hash': {
            const items = Object.entries(await redis.hgetall(key)).slice(0, MAX_ITEMS)
            const shown = Object.fromEntries(items.map(([name, value]) => [name, decoded(value)]))
            return { redis_type: 'hash', length: await redis.hlen(key), items: shown }
          }
          case 'none':
            return undefined
          default:
            throw new Fault('VAL_SCHEMA', { key }, { message: `unsupported redis key type: ${await redis.type(key)}` })
        }
      })
    },
  }
}

/** Values within lists and hashes are shown as the JSON that they hold (jobs.md 16). */
function decoded(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
