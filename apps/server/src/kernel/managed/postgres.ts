import { randomBytes } from 'node:crypto'
import { createServer } from 'node:net'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import { existsSync, rmSync } from 'node:fs'
import { Client } from 'pg'
import type { Logger } from 'pino'
import { initCluster, startPostmaster, type Cluster } from './cluster.ts'
import { keepSecret, prepareChildFolder } from './data-folder.ts'
import { childIdentity } from './launch.ts'
import { endLeftovers } from './leftovers.ts'
import { binariesAt, postgresBinaries } from './postgres-binaries.ts'
import { stage } from './staging.ts'
import { StartError } from './start-error.ts'
import { supervise, type Supervised } from './supervise.ts'

export interface ManagedPostgres extends Supervised {
  /** URL of the owner of the schema: may create roles, is no superuser. Stays the same while the server runs. */
  url: string
}

export interface PostgresOptions {
  dataDir: string
  /** Aborted once the server ends. */
  ending: AbortSignal
  log: Logger
}

interface Passwords {
  superuser: string
  owner: string
}

const SUPERUSER = 'postgres'
const OWNER = 'wh_owner'
const DATABASE = 'wheelhouse'

/**
 * PostgreSQL as our child, its files in `<data>/postgres`: made at the first start, taken up again at every later one, also
 * after a `kill -9` of it or of us. It listens on a free loopback port and a socket in its own folder.
 */
export async function startManagedPostgres({ dataDir, ending, log }: PostgresOptions): Promise<ManagedPostgres> {
  const dir = join(dataDir, 'postgres')
  const identity = childIdentity('database')
  prepareChildFolder(dir, identity)
  const found = postgresBinaries()
  const binaries = binariesAt(
    stage(found.home, ['bin/initdb', 'bin/postgres', 'lib', 'share'], found.version, identity),
    found.version,
  )
  const cluster: Cluster = { binaries, dir, identity }
  const passwords = keepSecret<Passwords>(dataDir, 'database.json', () => {
    if (existsSync(join(dir, 'cluster')))
      throw new StartError(
        `${join(dataDir, 'secrets/database.json')} holds the passwords of the database in ${dir} and is gone; restore it`,
      )
    return { superuser: secret(), owner: secret() }
  })
  initCluster(cluster, SUPERUSER, passwords.superuser)

  // Free a moment ago; somebody may take it before the database does. Once it has run there it stays there.
  let port = await freePort()
  let hasRun = false
  const at = (user: string, password: string, database: string) =>
    `postgres://${user}:${password}@127.0.0.1:${port}/${database}`
  const supervised = await supervise({
    name: 'postgres',
    ending,
    log,
    // SIGINT: sessions are ended, everything is flushed.
    stopSignal: 'SIGINT',
    stopWithinMs: 6_000,
    async start() {
      const data = join(dir, 'cluster')
      await endLeftovers(data, 'postgres', 'SIGINT')
      // No process of ours has this cluster now: a pid file that is still there names a dead one, or a stranger that took over
      // its number, which PostgreSQL would mistake for itself.
      if (process.platform === 'linux') rmSync(join(data, 'postmaster.pid'), { force: true })
      const logFile = join(dataDir, 'logs', 'postgres.log')
      for (let tries = 1; ; tries += 1) {
        try {
          const { child } = await startPostmaster(cluster, { port, settings: settings(), logFile })
          hasRun = true
          return child
        } catch (error) {
          if (hasRun || tries === 3 || !String(error).includes('Address already in use')) throw error
          port = await freePort()
        }
      }
    },
  })
  try {
    await ensureDatabase(at(SUPERUSER, passwords.superuser, 'postgres'), passwords.owner)
  } catch (error) {
    await supervised.stop()
    throw error
  }
  return { ...supervised, url: at(OWNER, passwords.owner, DATABASE) }
}

/** Modest figures for a machine that does other work too; durability is left at PostgreSQL's safe defaults. */
function settings(): Record<string, string | number> {
  return {
    max_connections: 200,
    shared_buffers: totalmem() > 6 * 1024 ** 3 ? '256MB' : '128MB',
    max_locks_per_transaction: 128,
    max_wal_size: '2GB',
    random_page_cost: 1.1,
    jit: 'off',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_line_prefix: '%m [%p] %a ',
    log_min_messages: 'warning',
    log_checkpoints: 'off',
    cluster_name: 'wheelhouse',
  }
}

/** Owner and database, made where missing, so that a crash between two statements does no harm. */
async function ensureDatabase(url: string, ownerPassword: string): Promise<void> {
  const client = new Client({ connectionString: url, application_name: 'wheelhouse setup' })
  await client.connect()
  try {
    const has = async (query: string, name: string) => (await client.query(query, [name])).rowCount === 1
    if (!(await has('select from pg_roles where rolname = $1', OWNER)))
      await client.query(
        `create role ${OWNER} login createrole nosuperuser nobypassrls password ${client.escapeLiteral(ownerPassword)}`,
      )
    // The owner makes the request roles and must be able to take them on (PostgreSQL 16 and later ask for this by name).
    await client.query(`alter role ${OWNER} set createrole_self_grant = 'set, inherit'`)
    if (!(await has('select from pg_database where datname = $1', DATABASE)))
      await client.query(`create database ${DATABASE} owner ${OWNER}`)
  } finally {
    await client.end()
  }
}

function secret(): string {
  return randomBytes(24).toString('hex')
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (!address || typeof address === 'string') throw new StartError('There is no free loopback port for the database')
  return address.port
}
