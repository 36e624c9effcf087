import { readdirSync, readFileSync, readlinkSync, writeSync } from 'node:fs'

/** The moments of the server's own work at which a reliability test kills; docs/reliability.md says what each must survive. */
export const CRASH_POINTS = [
  'file:before-rename',
  'migrate:before-commit',
  'migrate:after-commit',
  'start:after-tenant',
  'start:after-connection',
  'start:after-enrolment',
  'request:before-commit',
  'request:after-commit',
  'seal:before-commit',
  'seal:after-commit',
  'submit:before-commit',
  'submit:after-commit',
  'claim:after-commit',
  'dispatch:after-publish',
  'progress:after-receive',
  'verb:before-perform',
  'ack:before-send',
  'verb:after-perform',
  'end:before-commit',
  'end:after-commit',
  'approve:after-commit',
  'run:before-commit',
  'run:after-commit',
  'artifact:before-rename',
  'artifact:after-rename',
] as const

export type CrashPoint = (typeof CRASH_POINTS)[number]

/** Children of ours that can be killed in our stead, by the folder that they work in. */
const CHILDREN: Readonly<Record<string, string>> = {
  postgres: '/postgres/cluster',
  nats: '/nats',
  agent: '/agent',
}

interface Armed {
  text: string
  point: string
  /** How often the point is still passed unharmed. */
  before: number
  child: string | undefined
}

/** `point`, `point#2` (the second time), `point@child`, separated by commas; one after the other. The agent has points of its own. */
const armed: Armed[] = (process.env['WHEELHOUSE_CRASH_POINT'] ?? '')
  .split(',')
  .filter((each) => !/^(agent:|$)/.test(each))
  .map((text) => {
    const {
      point = '',
      time = '1',
      child,
    } = /^(?<point>[^#@]+)(#(?<time>[1-9]\d*))?(@(?<child>.+))?$/.exec(text)?.groups ?? {}
    if (!(CRASH_POINTS as readonly string[]).includes(point) || (child !== undefined && !(child in CHILDREN)))
      throw new Error(`WHEELHOUSE_CRASH_POINT: there is no crash point ${text}`)
    return { text, point, before: Number(time) - 1, child }
  })

/**
 * Ends this process as `kill -9` does, or the named child of it, where WHEELHOUSE_CRASH_POINT names this point as its next one.
 * Without that variable it costs one comparison. For tests alone; children are found on Linux only.
 */
export function crashPoint(name: CrashPoint): void {
  const [next] = armed
  if (next?.point !== name) return
  if (next.before > 0) {
    next.before -= 1
    return
  }
  const pid = next.child === undefined ? process.pid : childIn(CHILDREN[next.child] ?? '')
  // A child that is just being started again: the next time.
  if (pid === undefined) return
  armed.shift()
  writeSync(2, `killed at ${next.text}\n`)
  process.kill(pid, 'SIGKILL')
}

function childIn(folder: string): number | undefined {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .find((pid) => {
      try {
        const ours = new RegExp(`^PPid:\\s+${process.pid}$`, 'm').test(readFileSync(`/proc/${pid}/status`, 'utf8'))
        return ours && readlinkSync(`/proc/${pid}/cwd`).endsWith(folder)
      } catch {
        return false
      }
    })
}
