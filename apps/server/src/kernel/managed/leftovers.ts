import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs'
import { basename } from 'node:path'
import { pause } from '../clock/index.ts'

/**
 * Ends what an earlier server left running in a child's folder: processes of that program whose working folder is exactly
 * `dir`. First with `signal`, after `withinMs` with SIGKILL. Anyone else's process in that folder, and a process that has
 * merely taken over an old pid, is let be. Linux only; elsewhere it does nothing.
 */
export async function endLeftovers(
  dir: string,
  program: string,
  signal: NodeJS.Signals,
  withinMs = 10_000,
): Promise<void> {
  if (process.platform !== 'linux') return
  const deadline = Date.now() + withinMs
  let left = processesIn(dir, program)
  for (const pid of left) send(pid, signal)
  while (left.length > 0) {
    await pause(20)
    left = processesIn(dir, program)
    if (Date.now() > deadline) for (const pid of left) send(pid, 'SIGKILL')
  }
}

/** Pids of the live processes that run `program` (its file name, or a script that it was given) in the folder `dir`. */
export function processesIn(dir: string, program: string): number[] {
  const folder = realpathSync(dir)
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        // A zombie has no working folder any more, so it never counts.
        if (readlinkSync(`/proc/${pid}/cwd`) !== folder) return false
        const file = basename(readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, ''))
        return (
          file === program ||
          readFileSync(`/proc/${pid}/cmdline`, 'utf8')
            .split('\0')
            .some((word) => basename(word) === program)
        )
      } catch {
        return false
      }
    })
    .map(Number)
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
