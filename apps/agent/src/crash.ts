import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The moments of the agent's own work at which a reliability test kills; docs/reliability.md says what each must survive. */
export const CRASH_POINTS = [
  'agent:after-record',
  'agent:after-spawn',
  'agent:before-result',
  'agent:after-result',
  'agent:after-delivery',
  'agent:after-ack',
] as const

export type CrashPoint = (typeof CRASH_POINTS)[number]

const armed = (process.env['WHEELHOUSE_CRASH_POINT'] ?? '').split(',').filter((each) => each.startsWith('agent:'))

/**
 * Ends this process as `kill -9` does, where WHEELHOUSE_CRASH_POINT names this point. The agent is started again with the same
 * variables, so each point happens once in the life of the data folder. Without that variable it costs one comparison. For tests alone.
 */
export function crashPoint(name: CrashPoint, dataDir: string): void {
  if (armed.length === 0 || !armed.includes(name)) return
  const file = join(dataDir, 'crash-points')
  const before = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []
  if (before.includes(name)) return
  appendFileSync(file, `${name}\n`)
  process.kill(process.pid, 'SIGKILL')
}
