import { Fault } from '@wheelhouse/contract'
import pg from 'pg'
import type { Logger } from 'pino'
import { isDeadlock, isUnavailable } from './errors.ts'
import { asTx, type Hooks, prepared, type Statement, type Tx } from './tx.ts'
import './values.ts'

export interface DbOptions {
  /** URL of the login user that owns the schema; each pool gives its rights up by SET ROLE at connect. */
  url: string
  /** Connections of the request pool; the engine's, the login path's and the reader's are fixed shares of it. */
  maxConnections?: number
  log: Logger
}

/** The doors to the database, one per right (decisions D6). None is assignable to Tx. */
export interface Db {
  /** Runs `work` in one transaction confined to one tenant. Commits when it resolves, rolls back when it throws. */
  tenant<T>(tenantId: string, work: (tx: Tx) => Promise<T>): Promise<T>
  /** Batches of many tenants: kernel/jobs, kernel/events, kernel/schedule and ingest only. */
  engine<T>(work: (tx: Tx) => Promise<T>): Promise<T>
  /** One statement of the engine that commits by itself, in one round trip. Same callers as `engine`. */
  engineQuery<T extends pg.QueryResultRow>(text: string, values: readonly unknown[]): Promise<pg.QueryResult<T>>
  /** Before a tenant is known: kernel/identity only. */
  auth<T>(work: (tx: Tx) => Promise<T>): Promise<T>
  /**
   * Searches a big table of one tenant with operators that row-level security would keep from their index (decisions D6).
   * The statement must confine itself: `where tenant_id = $tenant`; `build` gets the id to write there.
   */
  big<T>(tenantId: string, build: (tenantId: string) => Statement<T>): Promise<T[]>
  /** A connection of its own, for advisory locks that outlive a transaction. Ends with `release`. */
  dedicated(): Promise<{ client: pg.Client; release(): Promise<void> }>
  /** Round trip time of a trivial statement in milliseconds. */
  ping(): Promise<number>
  close(): Promise<void>
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

function pool(options: DbOptions, role: string, max: number, settings = ''): pg.Pool {
  const made = new pg.Pool({
    connectionString: options.url,
    max,
    // A statement goes out without waiting for the answer to the one before it: BEGIN and the first statement share a round trip.
    pipeline: true,
    idleTimeoutMillis: 60_000,
    // Whoever finds no connection by then is told to come back, before it takes this for a hang.
    connectionTimeoutMillis: 4_000,
    application_name: `wheelhouse ${role}`,
    options: `-c role=${role} -c statement_timeout=60000 -c idle_in_transaction_session_timeout=60000 ${settings}`,
  })
  // While it is checked out the pool does not listen, and an error that nobody hears ends the process. The next statement says it.
  made.on('connect', (client) => void client.on('error', () => undefined))
  // The error itself carries the whole connection.
  made.on('error', ({ message }) => options.log.warn({ reason: message, role }, 'An idle database connection was lost'))
  return made
}

/** How long the engine's connections keep a plan, and those of requests: a table may have grown from nothing since. */
const ENGINE_PLANS_MS = 1000
const TENANT_PLANS_MS = 10_000

/** Opens the pools; does not connect before the first use. */
export function openDb(options: DbOptions): Db {
  const max = options.maxConnections ?? 24
  const tenants = pool(options, 'wh_tenant', max)
  // Batches go by key: without fresh statistics a plan that reads a growing table whole would be kept for minutes.
  // One plan a statement, for a second: planning each batch anew, since it is small, costs more than running it.
  const engines = pool(
    options,
    'wh_engine',
    Math.max(6, Math.ceil(max / 3)),
    '-c enable_seqscan=off -c jit=off -c plan_cache_mode=force_generic_plan',
  )
  const auths = pool(options, 'wh_auth', Math.max(4, Math.ceil(max / 4)))
  const readers = pool(options, 'wh_reader', Math.max(4, Math.ceil(max / 4)))

  /** When the plans of a connection were last thrown away. */
  const plannedAt = new WeakMap<pg.PoolClient, number>()

  /** A connection whose plans are no older than that. */
  async function connect(from: pg.Pool, plansMs: number): Promise<pg.PoolClient> {
    const client = await from.connect()
    const now = performance.now()
    if (now - (plannedAt.get(client) ?? 0) > plansMs) {
      plannedAt.set(client, now)
      // On its way with the next statement; it fails with the connection alone.
      client.query('DISCARD PLANS').catch(() => undefined)
    }
    return client
  }
  const engineClient = (): Promise<pg.PoolClient> => connect(engines, ENGINE_PLANS_MS)
  const tenantClient = (): Promise<pg.PoolClient> => connect(tenants, TENANT_PLANS_MS)

  async function engineQuery<T extends pg.QueryResultRow>(
    text: string,
    values: readonly unknown[],
  ): Promise<pg.QueryResult<T>> {
    const client = await engineClient().catch(unavailable)
    let broken: Error | undefined
    try {
      return await client.query<T>(prepared(text, values))
    } catch (error) {
      if (isUnavailable(error)) broken = error instanceof Error ? error : new Error(String(error))
      return unavailable(error)
    } finally {
      client.release(broken)
    }
  }

  async function transact<T>(
    connect: () => Promise<pg.PoolClient>,
    begin: string,
    tenantId: string,
    work: (tx: Tx) => Promise<T>,
  ): Promise<T> {
    const client = await connect().catch(unavailable)
    let broken: Error | undefined
    const hooks: Hooks = { committed: [], rolledBack: [] }
    let committing = false
    let result: T
    try {
      const begun = client.query(begin)
      // It fails with the connection alone, and then so does every statement behind it; awaited before anything is kept.
      begun.catch(() => undefined)
      result = await work(asTx(client, tenantId, hooks))
      await begun
      committing = true
      await client.query('COMMIT')
    } catch (error) {
      await client.query('ROLLBACK').catch((lost: Error) => {
        broken = lost
      })
      follow(hooks.rolledBack.map((hook) => () => hook(!committing)))
      return unavailable(error)
    } finally {
      client.release(broken)
    }
    follow(hooks.committed)
    return result
  }

  /** What follows a transaction must not change what became of it. */
  function follow(hooks: readonly (() => void)[]): void {
    for (const hook of hooks) {
      try {
        hook()
      } catch (error) {
        options.log.error({ err: error }, 'Something to do after a transaction failed')
      }
    }
  }

  /** One more try where PostgreSQL chose this transaction as the victim of a deadlock: nothing of it happened. */
  async function once<T>(attempt: () => Promise<T>): Promise<T> {
    try {
      return await attempt()
    } catch (error) {
      if (!isDeadlock(error)) throw error
      return attempt()
    }
  }

  return {
    tenant(tenantId, work) {
      if (!UUID.test(tenantId)) throw new Error('A tenant id must be a uuid')
      return once(() => transact(tenantClient, `BEGIN; SET LOCAL app.tenant = '${tenantId}'`, tenantId, work))
    },
    engine: (work) => once(() => transact(engineClient, 'BEGIN', '', work)),
    engineQuery: <T extends pg.QueryResultRow>(text: string, values: readonly unknown[]) =>
      once(() => engineQuery<T>(text, values)),
    auth: (work) => once(() => transact(() => auths.connect(), 'BEGIN', '', work)),
    async big(tenantId, build) {
      if (!UUID.test(tenantId)) throw new Error('A tenant id must be a uuid')
      return transact(
        () => readers.connect(),
        'BEGIN READ ONLY',
        tenantId,
        (tx) => tx.many(build(tenantId)),
      )
    },
    async dedicated() {
      const client = new pg.Client({
        connectionString: options.url,
        options: '-c role=wh_engine',
        application_name: 'wheelhouse lock',
      })
      client.on('error', (error) => options.log.warn({ err: error }, 'A lock connection was lost'))
      await client.connect().catch(unavailable)
      return { client, release: () => client.end() }
    },
    async ping() {
      const started = performance.now()
      await tenants.query('select 1').catch(unavailable)
      return performance.now() - started
    },
    async close() {
      await Promise.all([tenants.end(), engines.end(), auths.end(), readers.end()])
    },
  }
}

/** Turns "the database is away" into the refusal that callers know; everything else passes. */
function unavailable(error: unknown): never {
  if (isUnavailable(error))
    throw new Fault('SYS_UNAVAILABLE', { part: 'database' }, { cause: error, retryAfterMs: 1000 })
  throw error
}
