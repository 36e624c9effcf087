import { spawn } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, join } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import type { AgentPayload } from '@wheelhouse/sdk/agent-protocol'
import { childEnvironment } from './config.ts'
import { messageOf } from './log.ts'
import { ProcessTree } from './process-tree.ts'

export interface ProcessRequest {
  taskId: string
  attempt: number
  /** Random, new for each run; see `markerOf`. */
  mark: string
  command?: string
  args?: string[]
  /** Runs `command` as a line of this shell. */
  shell?: string
  /** The script is written into this new folder, which goes with the process. */
  script?: { text: string; interpreter: string; folder: string }
  cwd?: string
  env?: Record<string, string>
  timeoutMs: number
}

export type ExecFailure = NonNullable<AgentPayload<'exec:result'>['error']>
export interface Outcome {
  exitCode: number | null
  signal?: string
  timedOut: boolean
  cancelled: boolean
  durationMs: number
  error?: ExecFailure
}

export interface Hooks {
  started(pid: number): void
  output(stream: 'stdout' | 'stderr', data: Buffer): void
}

export interface Execution {
  readonly done: Promise<Outcome>
  /** Ends the whole process tree; `done` follows when nobody of it is left. */
  end(why: 'cancelled' | 'agent_stopped', graceMs?: number): void
}

const GRACE_MS = 5_000
const QUIET_MS = 250

/**
 * The variable by which every process of a run is found again, also after it left its group and its parents. The mark is random: a task
 * of the same id under another agent of this host is not ours to end.
 */
export const markerOf = (mark: string): string => `WHEELHOUSE_TASK_MARK=${mark}`

/**
 * Runs one process in a session and group of its own. `done` never rejects: whatever goes wrong is part of the outcome. On timeout and
 * cancellation the whole tree gets SIGTERM, 5 s later SIGKILL. Processes that a command leaves behind on purpose are left alone.
 */
export function execute(request: ProcessRequest, hooks: Hooks): Execution {
  let ended: 'cancelled' | 'agent_stopped' | undefined
  let endNow: (graceMs: number) => void = () => {}
  const done = run(request, hooks, {
    why: () => ended,
    onEnd: (end) => {
      endNow = end
      if (ended) end(GRACE_MS)
    },
  })
  return {
    done,
    end(why, graceMs = GRACE_MS) {
      ended ??= why
      endNow(graceMs)
    },
  }
}

interface Ending {
  why(): 'cancelled' | 'agent_stopped' | undefined
  onEnd(end: (graceMs: number) => void): void
}

async function run(request: ProcessRequest, hooks: Hooks, ending: Ending): Promise<Outcome> {
  const begun = performance.now()
  let timedOut = false
  const outcome = (exitCode: number | null, rest: Partial<Outcome> = {}): Outcome => ({
    exitCode,
    timedOut,
    cancelled: ending.why() === 'cancelled',
    durationMs: Math.round(performance.now() - begun),
    ...(ending.why() === 'agent_stopped' && { error: { code: 'agent_stopped', message: 'the agent was stopped' } }),
    ...rest,
  })
  const cwd = request.cwd ?? homedir()
  if (!(await isFolder(cwd))) return outcome(null, { error: { code: 'bad_cwd', message: `no such folder: ${cwd}` } })
  if (ending.why()) return outcome(null)

  try {
    if (request.script) {
      mkdirSync(request.script.folder, { mode: 0o700 })
      writeFileSync(scriptFile(request.script), request.script.text, { mode: 0o700 })
    }
    const [file, args] = commandLine(request)
    const env = {
      ...childEnvironment(),
      ...request.env,
      WHEELHOUSE_TASK_ID: request.taskId,
      WHEELHOUSE_TASK_ATTEMPT: `${request.attempt}`,
      WHEELHOUSE_TASK_MARK: request.mark,
    }
    const child = spawn(file, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
    const exited = new Promise<Outcome>((resolve) => {
      child.once('error', (error) => resolve(outcome(...failureToSpawn(error, file))))
      child.once('exit', (code, signal) => resolve(outcome(code, signal ? { signal } : {})))
    })
    if (child.pid === undefined) return await exited
    hooks.started(child.pid)

    let quietSince = performance.now()
    const pipe = (stream: Readable, name: 'stdout' | 'stderr') => {
      stream.on('data', (data: Buffer) => {
        quietSince = performance.now()
        hooks.output(name, data)
      })
      return new Promise<void>((resolve) => stream.once('close', resolve).once('error', () => resolve()))
    }
    const drained = Promise.all([pipe(child.stdout, 'stdout'), pipe(child.stderr, 'stderr')])

    const tree = new ProcessTree({ pid: child.pid, marker: markerOf(request.mark) })
    let treeEnd: Promise<boolean> | undefined
    const unkillable = Promise.withResolvers<void>()
    const endTree = (graceMs: number) => {
      treeEnd ??= tree.end(graceMs).then((gone) => {
        if (!gone) unkillable.resolve()
        return gone
      })
    }
    const timer = setTimeout(() => {
      if (treeEnd) return
      timedOut = true
      endTree(GRACE_MS)
    }, request.timeoutMs)
    ending.onEnd(endTree)
    const finished = await Promise.race([exited, unkillable.promise])
    clearTimeout(timer)
    ending.onEnd(() => {})
    const how = endedHow(outcome(null))
    await treeEnd
    // Whoever is left behind may hold the pipes open for ever: after the exit, silence ends the output.
    quietSince = performance.now()
    while (!(await Promise.race([drained.then(() => true), delay(50, false)]))) {
      if (performance.now() - quietSince > QUIET_MS) break
    }
    child.stdout.destroy()
    child.stderr.destroy()
    if (!finished) child.unref()
    return finished
      ? { ...finished, ...how }
      : outcome(null, { error: { code: 'unkillable', message: 'the process did not end after SIGKILL' } })
  } catch (error) {
    return outcome(null, { error: { code: 'spawn_failed', message: messageOf(error) } })
  } finally {
    if (request.script) rmSync(request.script.folder, { recursive: true, force: true })
  }
}

// Known once the process has ended: a cancellation that comes later cancels nothing.
function endedHow({ timedOut, cancelled, error }: Outcome): Partial<Outcome> {
  return { timedOut, cancelled, ...(error && { error }) }
}

const scriptFile = ({ folder }: { folder: string }): string => join(folder, 'script')

function commandLine({ command = '', args = [], shell, script }: ProcessRequest): [string, string[]] {
  if (script) {
    const [interpreter = 'sh', ...options] = script.interpreter.split(/\s+/).filter(Boolean)
    return [interpreter, [...options, scriptFile(script), ...args]]
  }
  return shell ? [shell, ['-c', command, ...(args.length > 0 ? [basename(shell), ...args] : [])]] : [command, args]
}

// The exit codes are those by which a shell tells the same.
function failureToSpawn(error: Error, file: string): [number | null, Partial<Outcome>] {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ENOENT') return [127, { error: { code: 'not_found', message: `no such program: ${file}` } }]
  if (code === 'EACCES') return [126, { error: { code: 'not_executable', message: `may not be executed: ${file}` } }]
  return [null, { error: { code: 'spawn_failed', message: messageOf(error) } }]
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch {
    return false
  }
}
