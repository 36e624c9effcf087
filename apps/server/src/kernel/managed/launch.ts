import { spawn, spawnSync, type ChildProcess, type SpawnOptions, type StdioOptions } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** A system user by its numbers. It needs no entry in /etc/passwd. */
export interface Identity {
  uid: number
  gid: number
}

export interface Launch {
  program: string
  args: readonly string[]
  cwd: string
  env?: NodeJS.ProcessEnv
  /** Absent = the user of this process. Only root may give one. */
  identity?: Identity
  /** The signal that the kernel sends to the child when this process is gone, however it went. */
  deathSignal: 'INT' | 'TERM' | 'KILL'
  /** File descriptor (or 'ignore' / 'pipe') of stdout and stderr. */
  output: number | 'ignore' | 'pipe'
}

/**
 * Starts one child whose pid is the program's own. On Linux with util-linux it gets the parent-death signal, so that a
 * `kill -9` of this process ends it too (decisions D9); elsewhere the next start finds and ends what was left.
 */
export function launch(options: Launch): ChildProcess {
  const { program, args, cwd, env, identity, deathSignal, output } = options
  const stdio: StdioOptions = ['ignore', output, output]
  // A process group of its own: a Ctrl-C in the terminal is for the server, which ends its children in order.
  const common: SpawnOptions = { cwd, env, stdio, detached: true }
  if (!bindsToParent()) return spawn(program, args, { ...common, ...identity })
  const user = identity ? [`--reuid=${identity.uid}`, `--regid=${identity.gid}`, '--clear-groups'] : []
  // The signal is set after the change of user, which would clear it.
  return spawn('setpriv', [...user, `--pdeathsig=${deathSignal}`, '--', program, ...args], common)
}

let binds: boolean | undefined

/** Whether children die with us: util-linux's `setpriv` is there (busybox's lacks the option). */
export function bindsToParent(): boolean {
  binds ??= process.platform === 'linux' && spawnSync('setpriv', ['--pdeathsig=KILL', 'true']).status === 0
  return binds
}

export function isRoot(): boolean {
  return process.getuid?.() === 0
}

const OWN_USERS = { database: 64_801, bus: 64_802, agent: 64_803 } as const

/**
 * Who runs a child when we are root: a user of its own that owns nothing else on the host and needs no account (decisions D9).
 * Undefined when we are not root: the child then shares our user.
 */
export function childIdentity(child: keyof typeof OWN_USERS): Identity | undefined {
  return isRoot() ? { uid: OWN_USERS[child], gid: OWN_USERS[child] } : undefined
}

/** An unprivileged user that /etc/passwd knows, which `initdb` insists on; undefined when there is none. */
export function namedIdentity(): Identity | undefined {
  const users = new Map(
    readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .map((line) => line.split(':'))
      .map(([name, , uid, gid]) => [name, { uid: Number(uid), gid: Number(gid) }]),
  )
  return ['nobody', 'postgres', 'daemon'].map((name) => users.get(name)).find((user) => user && user.uid > 0)
}
