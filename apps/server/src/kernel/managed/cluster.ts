import { spawnSync, type ChildProcess } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { bindsToParent, isRoot, launch, namedIdentity, type Identity } from './launch.ts'
import type { PostgresBinaries } from './postgres-binaries.ts'
import { StartError } from './start-error.ts'

export interface Cluster {
  binaries: PostgresBinaries
  /** Holds `cluster/` (PGDATA) and, while it is made, the password file. Made when missing. */
  dir: string
  /** Who runs the database; absent = we ourselves, which must not be root. */
  identity?: Identity
}

/**
 * Creates the database cluster once: UTF-8, code point order independent of the C library, scram passwords. A half-made one (a
 * crash in between) is made anew. `user` is the owner of everything and superuser of this cluster alone.
 */
export function initCluster(cluster: Cluster, user: string, password: string): void {
  const { binaries, dir } = cluster
  const data = join(dir, 'cluster')
  if (statSync(join(data, 'PG_VERSION'), { throwIfNoEntry: false })) return
  const fresh = join(dir, 'new')
  const passwordFile = join(dir, 'password')
  rmSync(fresh, { recursive: true, force: true })
  mkdirSync(fresh, { recursive: true, mode: 0o700 })
  // initdb looks its user up in /etc/passwd; the database itself does not, so the files change hands afterwards.
  const maker = isRoot() ? namedIdentity() : undefined
  if (isRoot() && !maker)
    throw new StartError('PostgreSQL refuses to run as root, and /etc/passwd names no user `nobody` to prepare it as.')
  for (const folder of [dir, fresh]) own(folder, 0o700, maker)
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 })
  own(passwordFile, 0o600, maker)
  const init = [
    '-D',
    here(fresh),
    '--encoding=UTF8',
    '--locale=C.UTF-8',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
  ]
  const args = [...init, `--username=${user}`, '--auth=scram-sha-256', '--pwfile=../password']
  const [program = '', ...rest] = command([binaries.initdb, ...args], maker)
  const made = spawnSync(program, rest, {
    cwd: fresh,
    env: cleanEnv(),
    encoding: 'utf8',
    ...(bindsToParent() ? {} : maker),
  })
  rmSync(passwordFile)
  if (made.status !== 0) throw new StartError(`initdb failed: ${(made.stderr || made.error?.message || '').trim()}`)
  if (isRoot()) chownTree(dir, cluster.identity)
  renameSync(fresh, data)
}

export interface Postmaster {
  child: ChildProcess
  pid: number
}

/**
 * Starts the database and returns once it accepts connections; throws with the end of its log after `deadlineMs`. A start that
 * meets the shared memory of a killed predecessor's last backend is tried again until then (stack.md).
 */
export async function startPostmaster(
  cluster: Cluster,
  options: { port: number; settings: Readonly<Record<string, string | number>>; logFile: string; deadlineMs?: number },
): Promise<Postmaster> {
  const data = join(cluster.dir, 'cluster')
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '.',
    port: options.port,
    ...options.settings,
  }
  const args = ['-D', here(data), ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
  const deadline = Date.now() + (options.deadlineMs ?? 30_000)
  for (;;) {
    const logStart = statSync(options.logFile, { throwIfNoEntry: false })?.size ?? 0
    const log = openSync(options.logFile, 'a', 0o600)
    const child = launch({
      program: cluster.binaries.postgres,
      args,
      cwd: data,
      env: cleanEnv(),
      identity: cluster.identity,
      // SIGINT is PostgreSQL's fast shutdown: sessions are ended, data is flushed.
      deathSignal: 'INT',
      output: log,
    })
    closeSync(log)
    if (await ready(child, join(data, 'postmaster.pid'), deadline)) return { child, pid: child.pid ?? 0 }
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    const said = readFileSync(options.logFile, 'utf8').slice(logStart).trim()
    if (!said.includes('pre-existing shared memory block') || Date.now() > deadline)
      throw new StartError(`PostgreSQL did not start: ${said.slice(-2000) || 'it said nothing'}`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

/**
 * The folder as the child names it. On Linux through its working directory: the database user then needs no right to walk
 * through the folders above, so that a data folder of mode 0700, or one below /root, works.
 */
function here(folder: string): string {
  return process.platform === 'linux' ? '/proc/self/cwd' : folder
}

async function ready(child: ChildProcess, pidFile: string, deadline: number): Promise<boolean> {
  // A program that cannot be started has no pid; its 'error' event must not end this process.
  child.once('error', () => undefined)
  while (child.pid !== undefined && child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
    const [pid, , , , , , , status] = readLines(pidFile)
    if (Number(pid) === child.pid && status?.trim() === 'ready') return true
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return false
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n')
  } catch {
    return []
  }
}

function command(parts: string[], identity: Identity | undefined): string[] {
  if (!identity || !bindsToParent()) return parts
  return [
    'setpriv',
    `--reuid=${identity.uid}`,
    `--regid=${identity.gid}`,
    '--clear-groups',
    '--pdeathsig=KILL',
    '--',
    ...parts,
  ]
}

function own(path: string, mode: number, identity: Identity | undefined): void {
  chmodSync(path, mode)
  if (identity) chownSync(path, identity.uid, identity.gid)
}

function chownTree(dir: string, identity: Identity | undefined): void {
  if (!identity) return
  const done = spawnSync('chown', ['-R', `${identity.uid}:${identity.gid}`, dir], { encoding: 'utf8' })
  if (done.status !== 0) throw new StartError(`Cannot hand ${dir} to the database's user: ${done.stderr}`)
}

/** PG* variables of the caller's shell must not reach our cluster. */
function cleanEnv(): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], LANG: 'C.UTF-8', TZ: 'UTC' }
}
