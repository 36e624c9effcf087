import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The managed database of that data folder while its server runs, for programs on the same host; undefined when it does not. */
export function runningDatabaseUrl(dataDir: string): string | undefined {
  const [pidFile, secretFile] = [
    join(dataDir, 'postgres/cluster/postmaster.pid'),
    join(dataDir, 'secrets/database.json'),
  ]
  if (!existsSync(pidFile) || !existsSync(secretFile)) return undefined
  const [pid = '', , , port = '', , , , status = ''] = readFileSync(pidFile, 'utf8').split('\n')
  if (status.trim() !== 'ready' || !isAlive(Number(pid))) return undefined
  const { owner } = JSON.parse(readFileSync(secretFile, 'utf8')) as { owner: string }
  return `postgres://wh_owner:${owner}@127.0.0.1:${port.trim()}/wheelhouse`
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
