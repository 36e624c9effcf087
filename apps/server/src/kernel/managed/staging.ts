import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Identity } from './launch.ts'
import { StartError } from './start-error.ts'

const STAGE = '/var/lib/wheelhouse/programs'

/** Whether a user who owns nothing may walk to the file and read it. */
export function isReachable(path: string): boolean {
  const needed = statSync(path).isDirectory() ? 0o005 : 0o004
  if ((statSync(path).mode & needed) !== needed) return false
  for (let dir = dirname(path); ; dir = dirname(dir)) {
    if ((statSync(dir).mode & 0o001) === 0) return false
    if (dir === dirname(dir)) return true
  }
}

/**
 * The folder that holds `files` (paths inside `root`, folders as a whole) where the child's user can reach them: `root` itself,
 * or, when that lies under a closed folder such as /root, a copy under /var/lib/wheelhouse (hard links where possible).
 * `version` tells copies apart. Throws with a way out when neither works.
 */
export function stage(root: string, files: readonly string[], version: string, identity: Identity | undefined): string {
  if (!identity || files.every((file) => isReachable(join(root, file)))) return root
  const name = `${basename(root)}-${createHash('sha256')
    .update(`${root}\0${version}\0${files.join('\0')}`)
    .digest('hex')
    .slice(0, 16)}`
  const copy = join(STAGE, name)
  try {
    if (existsSync(copy)) return copy
    const fresh = `${copy}.${process.pid}`
    rmSync(fresh, { recursive: true, force: true })
    for (const file of files) copyTree(join(root, file), join(fresh, file))
    try {
      renameSync(fresh, copy)
    } catch (error) {
      // Another start made the same copy meanwhile.
      if (!existsSync(copy)) throw error
      rmSync(fresh, { recursive: true })
    }
  } catch (cause) {
    throw new StartError(
      `${root} lies in a folder that other users cannot enter, so the database and the agent, which do not run as root, cannot ` +
        `be started from there, and no copy could be made in ${STAGE}. Move the project, for example to /opt, or open the folders above it (chmod o+x).`,
      { cause },
    )
  }
  return copy
}

function copyTree(from: string, to: string): void {
  openFolder(dirname(to))
  const stat = lstatSync(from)
  if (stat.isDirectory()) {
    openFolder(to)
    for (const name of readdirSync(from)) copyTree(join(from, name), join(to, name))
  } else if (stat.isSymbolicLink()) {
    symlinkSync(readlinkSync(from), to)
  } else if ((stat.mode & 0o004) === 0 || !linked(from, to)) {
    copyFileSync(from, to)
    chmodSync(to, (stat.mode & 0o100) === 0 ? 0o644 : 0o755)
  }
}

/** Also under a umask that closes new folders to others. */
function openFolder(dir: string): void {
  if (existsSync(dir)) return
  openFolder(dirname(dir))
  mkdirSync(dir)
  chmodSync(dir, 0o755)
}

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch {
    // Another file system, or one without hard links.
    return false
  }
}
