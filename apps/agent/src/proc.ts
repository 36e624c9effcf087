import { readdir, readFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'

/** Linux's `/proc`; elsewhere the process list and the search for escaped children are not offered. */
export const hasProc = process.platform === 'linux' && existsSync('/proc/self/stat')

export interface ProcStat {
  pid: number
  ppid: number
  name: string
  state: string
  group: number
  session: number
  /** Clock ticks of user and system time together. */
  ticks: number
  threads: number
  /** Clock ticks from boot to start: with the pid, the identity of a process. */
  started: number
}

/** Ticks a second of `/proc`: 100 on every Linux that Node runs on (USER_HZ, fixed by the kernel's interface). */
export const TICKS_PER_SECOND = 100

/** One process's `/proc/<pid>/stat`; undefined when it has ended. */
export async function readStat(pid: number): Promise<ProcStat | undefined> {
  const line = await readProc(`${pid}/stat`)
  return line === undefined ? undefined : parseStat(line)
}

/** Parses a `stat` line. The name is in parentheses and may itself hold any character, so the last parenthesis ends it. */
export function parseStat(line: string): ProcStat | undefined {
  const open = line.indexOf('(')
  const close = line.lastIndexOf(')')
  if (open < 0 || close < 0) return undefined
  const fields = line.slice(close + 2).split(' ')
  const at = (index: number) => Number(fields[index])
  return {
    pid: Number(line.slice(0, open)),
    name: line.slice(open + 1, close),
    state: fields[0] ?? '?',
    ppid: at(1),
    group: at(2),
    session: at(3),
    ticks: at(11) + at(12),
    threads: at(17),
    started: at(19),
  }
}

/** All processes that can be seen. Those that end while we read are left out. */
export async function readAllStats(): Promise<ProcStat[]> {
  const entries = hasProc ? await readdir('/proc') : []
  const stats = await Promise.all(
    entries.filter((entry) => /^\d+$/.test(entry)).map((entry) => readStat(Number(entry))),
  )
  return stats.filter((stat) => stat !== undefined)
}

/** A file below `/proc` as text; undefined when it is gone or not ours to read. */
export async function readProc(path: string): Promise<string | undefined> {
  try {
    return await readFile(`/proc/${path}`, 'utf8')
  } catch {
    return undefined
  }
}

/** The identity of this boot of the host: pids recorded under another one mean nothing. */
export async function hostBootId(): Promise<string> {
  return (await readProc('sys/kernel/random/boot_id'))?.trim() ?? 'unknown'
}
