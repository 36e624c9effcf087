import { type ChildProcess, spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { pino } from 'pino'
import { loadConfig } from '../../apps/server/src/kernel/config/index.ts'
import { type Managed, startManaged } from '../../apps/server/src/kernel/managed/index.ts'

const MAIN = fileURLToPath(new URL('../../apps/server/src/main.ts', import.meta.url))
const READY_WITHIN_MS = 60_000
const LOOK_MS = 10

/** A real installation for one run: managed PostgreSQL and nats-server, and the server as a process of its own. */
export interface Ground {
  url: string
  grpc: string
  apiKey: string
  tenant: string
  natsUrl: string
  databaseUrl: string
  /** The schema's owner: what is beside us in the same database goes through this. */
  pool: pg.Pool
  server: ChildProcess
  postgresPid: number
  natsPid: number
  /** From spawning the server to its first answer. */
  startedInMs: number
  managed: Managed
  dataDir: string
  /** A second server on the same database, bus and secrets. */
  replica(): Promise<{ url: string; server: ChildProcess; stop(): Promise<void> }>
  stop(): Promise<void>
}

/** Starts everything on free loopback ports in a folder that `stop` removes; with `profileDir` the server leaves a CPU profile there. */
export async function layGround(profileDir?: string): Promise<Ground> {
  const dataDir = mkdtempSync(join(tmpdir(), 'wh-bench-'))
  const env = { ...process.env, WHEELHOUSE_DATA_DIR: dataDir, WHEELHOUSE_NATS_PORT: '0', WHEELHOUSE_NATS_WS_PORT: '0' }
  const config = loadConfig({
    argv: [],
    env: { WHEELHOUSE_DATA_DIR: dataDir, WHEELHOUSE_NATS_PORT: '0', WHEELHOUSE_NATS_WS_PORT: '0' },
    cwd: dataDir,
  })
  const managed = await startManaged(config, { log: pino({ level: 'warn' }) })
  const serverDir = join(dataDir, 'server')
  const profiling =
    profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`, '--cpu-prof-interval=500']
  const started = performance.now()
  const start = (folder: string): ChildProcess =>
    spawn(process.execPath, [...profiling, MAIN], {
      env: {
        ...env,
        WHEELHOUSE_DATA_DIR: folder,
        WHEELHOUSE_PORT: '0',
        WHEELHOUSE_GRPC_PORT: '0',
        DATABASE_URL: managed.databaseUrl,
        NATS_URL: managed.nats.url,
        WHEELHOUSE_NATS_OPERATOR_FILE: join(dataDir, 'secrets', 'operator.json'),
        WHEELHOUSE_RATE_LIMITS_SCALE: '1000000',
        WHEELHOUSE_AGENT_ENABLED: 'false',
        WHEELHOUSE_LOG_LEVEL: 'warn',
      },
      stdio: ['ignore', 'inherit', 'ignore'],
    })
  const server = start(serverDir)
  const connection = await ready(serverDir, server)
  const startedInMs = performance.now() - started
  const pool = new pg.Pool({ connectionString: managed.databaseUrl, max: 8 })
  return {
    url: connection.url,
    grpc: connection.grpc,
    apiKey: connection.admin.apiKey,
    tenant: connection.tenant,
    natsUrl: managed.nats.url,
    databaseUrl: managed.databaseUrl,
    pool,
    server,
    postgresPid: Number(readFileSync(join(dataDir, 'postgres/cluster/postmaster.pid'), 'utf8').split('\n')[0]),
    natsPid: natsPidOf(dataDir),
    startedInMs,
    managed,
    dataDir,
    async replica() {
      const folder = join(dataDir, 'replica')
      cpSync(join(serverDir, 'secrets'), join(folder, 'secrets'), { recursive: true })
      // With it the administrator's key stays; without it a new one would be made.
      cpSync(join(serverDir, 'connection.json'), join(folder, 'connection.json'))
      const second = start(folder)
      const { url } = await ready(folder, second)
      return { url, server: second, stop: () => ended(second) }
    },
    async stop() {
      await pool.end()
      await ended(server)
      await managed.stop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

/** The bus says in its folder which ports it took, under its process id. */
function natsPidOf(dataDir: string): number {
  const [file = ''] = readdirSync(join(dataDir, 'nats', 'ports'))
  return Number(/_(\d+)\.ports$/.exec(file)?.[1] ?? 0)
}

/** A connection that sees and writes the rows of protected tables, as their owner may not: the engine's role does. */
export async function asEngine<T>({ pool }: Ground, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  try {
    await client.query('set role wh_engine')
    return await work(client)
  } finally {
    await client.query('reset role')
    client.release()
  }
}

interface Connection {
  url: string
  grpc: string
  tenant: string
  admin: { apiKey: string }
  pid: number
}

async function ready(dataDir: string, server: ChildProcess): Promise<Connection> {
  const deadline = performance.now() + READY_WITHIN_MS
  while (performance.now() < deadline) {
    if (server.exitCode !== null) throw new Error(`The server ended with ${server.exitCode}`)
    try {
      const connection = JSON.parse(readFileSync(join(dataDir, 'connection.json'), 'utf8')) as Connection
      if (connection.pid === server.pid && (await fetch(`${connection.url}/readyz`)).ok) return connection
    } catch {
      // Not there yet: the deadline ends the wait.
    }
    await pause(LOOK_MS)
  }
  throw new Error(`The server was not ready within ${READY_WITHIN_MS} ms`)
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const exit = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill('SIGTERM')
  await exit
}
