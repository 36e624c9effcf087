import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { initCluster, startPostmaster, type Cluster } from '../kernel/managed/cluster.ts'
import { isRoot, namedIdentity } from '../kernel/managed/launch.ts'
import { postgresBinaries } from '../kernel/managed/postgres-binaries.ts'

/** How a test reaches its PostgreSQL; `user` owns the cluster and may create databases and roles. */
export interface PostgresFacts {
  host: string
  port: number
  user: string
  password: string
}

export interface TestPostgres extends PostgresFacts {
  pid: number
  dir: string
  /** Ends the database by its pid and removes its files. */
  stop(): Promise<void>
}

/** Sync to disk is off: nothing here must survive the machine, and crash tests that need it start a managed one. */
const SETTINGS = {
  fsync: 'off',
  full_page_writes: 'off',
  synchronous_commit: 'on',
  max_connections: 300,
  shared_buffers: '128MB',
  max_locks_per_transaction: 256,
  wal_level: 'minimal',
  max_wal_senders: 0,
  jit: 'off',
  autovacuum_naptime: '10s',
  log_min_messages: 'warning',
}

/** Starts a throwaway PostgreSQL of the bundled version on a free loopback port. It dies with this process. */
export async function startPostgres(): Promise<TestPostgres> {
  const dir = mkdtempSync(join(tmpdir(), 'wh-pg-'))
  const cluster: Cluster = { binaries: postgresBinaries(), dir, identity: isRoot() ? namedIdentity() : undefined }
  const user = 'wheelhouse'
  const password = randomBytes(12).toString('hex')
  initCluster(cluster, user, password)
  const port = await freePort()
  const { child, pid } = await startPostmaster(cluster, { port, settings: SETTINGS, logFile: join(dir, 'log') })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  return {
    host: '127.0.0.1',
    port,
    user,
    password,
    pid,
    dir,
    async stop() {
      // SIGQUIT: at once, without a last checkpoint; the files go anyway.
      child.kill('SIGQUIT')
      await ended
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** A loopback port that nobody listened on a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (!address || typeof address === 'string') throw new Error('no free port')
  return address.port
}
