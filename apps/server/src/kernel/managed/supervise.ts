import type { ChildProcess } from 'node:child_process'
import type { Logger } from 'pino'
import { pause } from '../clock/index.ts'

export interface ChildStatus {
  name: string
  state: 'running' | 'restarting' | 'stopped'
  pid: number | undefined
  /** How often it had to be started again. */
  restarts: number
}

export interface Supervised {
  status(): ChildStatus
  /** Ends the child: `stopSignal`, then SIGKILL after `stopWithinMs`. Resolves when it is gone. */
  stop(): Promise<void>
}

export interface Supervision {
  name: string
  /** Starts the child and resolves when it is ready for work; called again whenever it died. */
  start(): Promise<ChildProcess>
  stopSignal: NodeJS.Signals
  stopWithinMs: number
  /** Aborted once the server ends: from then on a child that ends stays ended, and nobody is warned. */
  ending: AbortSignal
  log: Logger
}

const HEALTHY_MS = 1_000
const MAX_WAIT_MS = 10_000

const waitMs = (failures: number): number => Math.min(MAX_WAIT_MS, 50 * 2 ** failures)

/**
 * Keeps one child running: whenever it ends by itself it is started again, after 50 ms, then twice as long each time up to
 * 10 s. Who has worked for a second was no failed start, and its end waits for nothing. The first start must succeed, else this throws.
 */
export async function supervise(supervision: Supervision): Promise<Supervised> {
  const { name, start, stopSignal, stopWithinMs, ending, log } = supervision
  const stopping = new AbortController()
  const over = AbortSignal.any([stopping.signal, ending])
  const status: ChildStatus = { name, state: 'running', pid: undefined, restarts: 0 }
  let child = await start()
  status.pid = child.pid

  const watch = (async () => {
    let failures = 0
    for (;;) {
      const since = Date.now()
      await gone(child)
      if (over.aborted) break
      if (Date.now() - since > HEALTHY_MS) failures = 0
      status.state = 'restarting'
      status.pid = undefined
      const { pid, exitCode: code, signalCode } = child
      const next = await startAgain(() => failures++, { pid, code, signal: signalCode })
      if (!next) break
      child = next
      status.pid = child.pid
      status.state = 'running'
      status.restarts++
      if (stopping.signal.aborted) child.kill(stopSignal)
    }
    status.state = 'stopped'
    status.pid = undefined
  })()

  async function startAgain(attempt: () => number, ended: object): Promise<ChildProcess | undefined> {
    for (let isFirst = true; !over.aborted; isFirst = false) {
      const wait = waitMs(attempt())
      const waited = await pause(wait, over).then(
        () => true,
        () => false,
      )
      if (!waited) return undefined
      // Said after the pause: a Ctrl-C may reach a child that is just being forked before it reaches us.
      if (isFirst) log.warn({ child: name, ...ended, waitMs: wait }, 'A child process ended; starting it again')
      try {
        return await start()
      } catch (err) {
        log.error({ err, child: name }, 'A child process cannot be started again; trying further')
      }
    }
    return undefined
  }

  return {
    status: () => ({ ...status }),
    async stop() {
      stopping.abort()
      child.kill(stopSignal)
      const late = setTimeout(() => {
        log.warn({ child: name, pid: child.pid }, 'A child process did not stop in time and is killed')
        child.kill('SIGKILL')
      }, stopWithinMs)
      await watch
      clearTimeout(late)
    },
  }
}

function gone(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve()
    else child.once('exit', () => resolve())
  })
}
