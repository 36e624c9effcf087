import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError } from './config.ts'
import { hasProc, readStat } from './proc.ts'

/**
 * Takes the data folder for this process, so that two agents never deliver from one spool; the answer gives it back. Throws `ConfigError`
 * while its holder lives. What a killed agent left behind holds nobody up: a pid counts only with the start time it was written with.
 */
export async function lockDataDir(dataDir: string): Promise<() => void> {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw new ConfigError(`cannot create the data folder: ${error instanceof Error ? error.message : String(error)}`)
  }
  const file = join(dataDir, 'agent.pid')
  const me = { pid: process.pid, started: (await readStat(process.pid))?.started }
  // Whoever creates the file has it; a stale one is removed once and the creation tried again.
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      writeFileSync(file, JSON.stringify(me), { flag: 'wx', mode: 0o600 })
      return () => rmSync(file, { force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      const holder = readHolder(file)
      if (holder && (await isAlive(holder)))
        throw new ConfigError(`another agent (pid ${holder.pid}) uses the data folder ${dataDir}`)
      rmSync(file, { force: true })
    }
  }
  throw new ConfigError(`another agent has just taken the data folder ${dataDir}`)
}

function readHolder(file: string): { pid: number; started?: number } | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as { pid: number; started?: number }
  } catch {
    return undefined
  }
}

async function isAlive({ pid, started }: { pid: number; started?: number }): Promise<boolean> {
  if (pid === process.pid) return false
  if (hasProc) {
    const stat = await readStat(pid)
    return stat !== undefined && stat.state !== 'Z' && stat.started === started
  }
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
