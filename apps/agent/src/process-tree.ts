import { setTimeout as delay } from 'node:timers/promises'
import { hasProc, readAllStats, readProc } from './proc.ts'
import type { ProcStat } from './proc.ts'

/** What identifies a task's processes: the leader of its group, and a variable that every process of it inherits. */
export interface TreeRoot {
  pid?: number
  /** For a pid read from disk: when that process had started, in ticks. A stranger may have got the number since. */
  started?: number
  /** `NAME=value` as it stands in the environment. */
  marker: string
}

const identity = (stat: ProcStat) => `${stat.pid}:${stat.started}`

/** The processes of one task, remembered from look to look: a child that left its group, session and parent stays known. */
export class ProcessTree {
  readonly #root: TreeRoot
  readonly #known = new Set<string>()

  constructor(root: TreeRoot) {
    this.#root = root
  }

  /** Everyone of the tree alive now: the leader's group and session, all descendants, and whoever carries the marker. */
  async members(): Promise<number[]> {
    const stats = (await readAllStats()).filter((stat) => stat.pid !== process.pid)
    const alive = stats.filter((stat) => stat.state !== 'Z' && stat.state !== 'X')
    const { pid, started } = this.#root
    // A group outlives its leader and keeps the number reserved; for a pid from disk only a living leader proves whose group it is.
    const leader = stats.find((stat) => stat.pid === pid)
    const ours = pid !== undefined && (started === undefined || leader?.started === started)
    const marked = await Promise.all(alive.map((stat) => this.#carriesMarker(stat.pid)))
    const members = new Set<number>()
    alive.forEach((stat, index) => {
      const inGroup = ours && (stat.group === pid || stat.session === pid)
      if (inGroup || marked[index] || this.#known.has(identity(stat))) members.add(stat.pid)
    })
    for (let grew = true; grew;) {
      grew = false
      for (const stat of alive) {
        if (members.has(stat.pid) || !members.has(stat.ppid)) continue
        members.add(stat.pid)
        grew = true
      }
    }
    for (const stat of alive) if (members.has(stat.pid)) this.#known.add(identity(stat))
    return [...members]
  }

  /**
   * Ends the whole tree: SIGTERM, after `graceMs` SIGKILL, again and again for those born meanwhile.
   * True when nobody is left; false when some could not be ended within `graceMs` of the SIGKILL.
   */
  async end(graceMs: number): Promise<boolean> {
    if (!hasProc) return this.#endGroup(graceMs)
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const deadline = performance.now() + graceMs
      const told = new Set<number>()
      do {
        const members = await this.members()
        if (members.length === 0) return true
        for (const pid of members) {
          if (signal === 'SIGTERM' && told.has(pid)) continue
          told.add(pid)
          kill(pid, signal)
        }
        await delay(25)
      } while (performance.now() < deadline)
    }
    return (await this.members()).length === 0
  }

  async #carriesMarker(pid: number): Promise<boolean> {
    const environment = await readProc(`${pid}/environ`)
    return environment !== undefined && `\0${environment}`.includes(`\0${this.#root.marker}\0`)
  }

  // Without /proc the group is all we can reach.
  async #endGroup(graceMs: number): Promise<boolean> {
    const { pid } = this.#root
    if (pid === undefined) return true
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const deadline = performance.now() + graceMs
      if (!kill(-pid, signal)) return true
      while (performance.now() < deadline) {
        await delay(25)
        if (!kill(-pid, 0)) return true
      }
    }
    return false
  }
}

function kill(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal)
    return true
  } catch {
    return false
  }
}
