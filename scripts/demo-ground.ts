import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

interface Connection {
  url: string
  admin: { email: string; password: string; apiKey: string }
}

/** A running installation to tell the story on. */
export interface Ground {
  url: string
  apiKey: string
  isOwn: boolean
  /** Ends what was started for the story alone. */
  close(): Promise<void>
}

/** The installation that runs on this host, or one of the demo's own on free ports in a temporary folder. */
export async function findGround(say: (line: string) => void): Promise<Ground> {
  const dataDir = resolve(process.env['WHEELHOUSE_DATA_DIR'] || 'data')
  const running = await answering(dataDir)
  if (running) return { url: running.url, apiKey: running.admin.apiKey, isOwn: false, close: async () => {} }

  say(`No installation runs on ${dataDir}: starting one of the demo's own, which is removed at the end.`)
  const home = mkdtempSync(join(tmpdir(), 'wheelhouse-demo-'))
  const log = join(home, 'start.log')
  const out = openSync(log, 'a')
  const child = spawn(process.execPath, [join(root, 'scripts', 'start.mjs')], {
    cwd: root,
    env: {
      ...process.env,
      WHEELHOUSE_DATA_DIR: join(home, 'data'),
      ...Object.fromEntries(
        ['PORT', 'GRPC_PORT', 'NATS_PORT', 'NATS_WS_PORT'].map((name) => [`WHEELHOUSE_${name}`, '0']),
      ),
    },
    stdio: ['ignore', out, out],
  })
  const close = async (): Promise<void> => {
    await ended(child)
    rmSync(home, { recursive: true, force: true })
  }
  try {
    const own = await until('the installation is up', 180_000, async () => {
      if (child.exitCode !== null) throw new Error(`it did not start:\n${readFileSync(log, 'utf8').slice(-2000)}`)
      return answering(join(home, 'data'))
    })
    return { url: own.url, apiKey: own.admin.apiKey, isOwn: true, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function answering(dataDir: string): Promise<Connection | undefined> {
  const file = join(dataDir, 'connection.json')
  if (!existsSync(file)) return undefined
  const connection = JSON.parse(readFileSync(file, 'utf8')) as Partial<Connection>
  if (!connection.url || !connection.admin?.apiKey) return undefined
  const answer = await fetch(`${connection.url}/readyz`, { signal: AbortSignal.timeout(2000) }).catch(() => undefined)
  return answer?.ok ? (connection as Connection) : undefined
}

/** A second agent on this host, joined with the given token; its files are in a temporary folder. */
export function startAgent(url: string, name: string, token: string): { close(): Promise<void> } {
  const home = mkdtempSync(join(tmpdir(), 'wheelhouse-demo-agent-'))
  const tokenFile = join(home, 'token')
  writeFileSync(tokenFile, token, { mode: 0o600 })
  const bundle = join(root, 'apps', 'agent', 'dist', 'agent.mjs')
  const program = existsSync(bundle) ? bundle : join(root, 'apps', 'agent', 'src', 'main.ts')
  const args = [
    program,
    '--url',
    url,
    '--id',
    name,
    '--token-file',
    tokenFile,
    '--data-dir',
    home,
    '--log-level',
    'error',
  ]
  // Where the kernel can do that, the agent does not outlive a demo that is killed.
  const binds = process.platform === 'linux' && spawnSync('setpriv', ['--pdeathsig=TERM', 'true']).status === 0
  const [command, words] = binds
    ? ['setpriv', ['--pdeathsig=TERM', '--', process.execPath, ...args]]
    : [process.execPath, args]
  const child = spawn(command, words, { stdio: ['ignore', 'ignore', 'inherit'] })
  return {
    async close() {
      await ended(child)
      rmSync(home, { recursive: true, force: true })
    },
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((done) => child.once('exit', done))
  child.kill('SIGTERM')
  await gone
}

/** Waits for something to be there, with a deadline. */
export async function until<T>(what: string, withinMs: number, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + withinMs
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (Date.now() > deadline) throw new Error(`Not within ${withinMs / 1000} s: ${what}`)
    await pause(100)
  }
}
