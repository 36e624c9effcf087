import {
  chmodSync,
  closeSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs'
import { spawnSync } from 'node:child_process'
import { createServer, type Server } from 'node:net'
import { dirname, join } from 'node:path'
import { crashPoint } from '../crash/index.ts'
import { isRoot, type Identity } from './launch.ts'
import { StartError } from './start-error.ts'

/** Makes the data folder, mode 0700, or throws with what stands in the way. */
export function prepareDataFolder(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    const { uid, mode } = statSync(dir)
    const me = process.getuid?.()
    if (me !== undefined && uid !== me && !isRoot())
      throw new StartError(`it belongs to user ${uid}; start Wheelhouse as that user or give the folder to yourself`)
    if ((mode & 0o777) !== 0o700) chmodSync(dir, 0o700)
    for (const name of ['secrets', 'logs']) mkdirSync(join(dir, name), { recursive: true, mode: 0o700 })
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new StartError(`The data folder ${dir} cannot be used (WHEELHOUSE_DATA_DIR names another one): ${reason}`, {
      cause,
    })
  }
}

/** A folder of a child inside the data folder, owned by the child's user also when an earlier start ran as another one. */
export function prepareChildFolder(dir: string, identity: Identity | undefined): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const owner = identity?.uid ?? process.getuid?.()
  if (owner === undefined || statSync(dir).uid === owner) return
  if (!isRoot())
    throw new StartError(
      `${dir} was made by another user (an earlier start as root?); give the data folder to yourself with chown -R`,
    )
  const done = spawnSync('chown', ['-R', `${owner}:${identity?.gid ?? process.getgid?.()}`, dir], { encoding: 'utf8' })
  if (done.status !== 0) throw new StartError(`${dir} cannot be handed to its user: ${done.stderr}`)
}

export interface FolderLock {
  release(): Promise<void>
}

/**
 * Takes the data folder for this process, or throws when another live server of this host holds it. On Linux the kernel frees
 * the lock in the instant the holder dies; elsewhere it is a file with the holder's pid.
 */
export async function lockDataFolder(dir: string): Promise<FolderLock> {
  const pidFile = join(dir, 'server.pid')
  const refused = () =>
    new StartError(
      `Another Wheelhouse (pid ${readPid(pidFile) ?? 'unknown'}) is running on the data folder ${dir}. Stop it, or set WHEELHOUSE_DATA_DIR.`,
    )
  if (process.platform === 'linux') {
    const { dev, ino } = lstatSync(dir, { bigint: true })
    const server = await listen(`\0wheelhouse-data-${dev}-${ino}`)
    if (!server) throw refused()
    writeDurably(pidFile, `${process.pid}\n`)
    return { release: () => new Promise((resolve) => server.close(() => resolve())) }
  }
  const holder = readPid(pidFile)
  if (holder !== undefined && holder !== process.pid && isAlive(holder)) throw refused()
  writeDurably(pidFile, `${process.pid}\n`)
  return { release: async () => writeDurably(pidFile, '') }
}

/** The secret of that name in the data folder; made and stored (0600, synced to disk) when it is not there yet. */
export function keepSecret<T>(dir: string, name: string, make: () => T): T {
  const file = join(dir, 'secrets', name)
  if (lstatSync(file, { throwIfNoEntry: false })) return JSON.parse(readFileSync(file, 'utf8')) as T
  const made = make()
  writeDurably(file, `${JSON.stringify(made, undefined, 2)}\n`)
  return made
}

/** Replaces the file as a whole, mode 0600: after a crash it holds the old text or the new one, never half. */
export function writeDurably(file: string, text: string): void {
  const beside = `${file}.new`
  const out = openSync(beside, 'w', 0o600)
  try {
    writeSync(out, text)
    fsyncSync(out)
  } finally {
    closeSync(out)
  }
  chmodSync(beside, 0o600)
  crashPoint('file:before-rename')
  renameSync(beside, file)
  const folder = openSync(dirname(file), 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

function listen(path: string): Promise<Server | undefined> {
  const server = createServer((socket) => socket.destroy())
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    )
    server.listen(path, () => resolve(server.unref()))
  })
}

function readPid(file: string): number | undefined {
  try {
    return Number(readFileSync(file, 'utf8')) || undefined
  } catch {
    return undefined
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
