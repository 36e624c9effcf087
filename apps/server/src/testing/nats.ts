import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { natsServerConfig, newNkey, newOperator, type OperatorKeys } from '../kernel/bus/index.ts'

/** A real nats-server in operator mode on free loopback ports, with its data in a folder of its own. */
export interface NatsFixture {
  url: string
  wsUrl: string
  keys: OperatorKeys
  dir: string
  pid: number
  /** Ends the process at once (SIGKILL) and keeps the data. */
  kill(): Promise<void>
  /** Starts again on the same ports and data after `kill`. */
  restart(): Promise<void>
  /** Ends the process and removes the data. */
  stop(): Promise<void>
}

/**
 * The keys of a shared server with a PLATFORM account of one's own: what other suites publish there stays unheard. `openBus` puts
 * it in force.
 */
export function ownPlatform(keys: OperatorKeys): OperatorKeys {
  return { ...keys, platform: newNkey('account') }
}

/**
 * Starts nats-server (`NATS_SERVER` or the one on the path) and waits until it listens; throws with its log when it does not
 * within 10 s. The server dies with this process.
 */
export async function startNats(options: { keys?: OperatorKeys; maxPayloadBytes?: number } = {}): Promise<NatsFixture> {
  const keys = options.keys ?? newOperator()
  const dir = await mkdtemp(join(tmpdir(), 'wh-nats-'))
  await mkdir(join(dir, 'ports'))
  let child: ChildProcess | undefined

  async function start(port: number, wsPort: number): Promise<{ url: string; wsUrl: string; pid: number }> {
    const config = natsServerConfig(keys, {
      port,
      wsPort,
      storeDir: join(dir, 'store'),
      jwtDir: join(dir, 'jwt'),
      portsFileDir: join(dir, 'ports'),
      serverName: 'wh-test',
      maxPayloadBytes: options.maxPayloadBytes,
    })
    await writeFile(join(dir, 'nats.conf'), config)
    child = launch(join(dir, 'nats.conf'))
    let log = ''
    child.stderr?.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-20_000)))
    const deadline = Date.now() + 10_000
    while (child.exitCode === null && Date.now() < deadline) {
      const ports = await readPorts(join(dir, 'ports', `nats-server_${child.pid}.ports`))
      if (ports) return { ...ports, pid: child.pid ?? 0 }
      await pause(20)
    }
    child.kill('SIGKILL')
    throw new Error(`nats-server did not start:\n${log}`)
  }

  async function kill(): Promise<void> {
    const running = child
    child = undefined
    if (!running || running.exitCode !== null || running.signalCode !== null) return
    const gone = new Promise((resolve) => running.once('exit', resolve))
    running.kill('SIGKILL')
    await gone
  }

  const first = await start(-1, -1)
  const fixture: NatsFixture = {
    ...first,
    keys,
    dir,
    kill,
    async restart() {
      fixture.pid = (await start(Number(new URL(first.url).port), Number(new URL(first.wsUrl).port))).pid
    },
    async stop() {
      await kill()
      await rm(dir, { recursive: true, force: true })
    },
  }
  return fixture
}

/** The parent-death signal ends the server also when the test process is killed; Debian's `setpriv` sets it. */
function launch(config: string): ChildProcess {
  const command = [process.env['NATS_SERVER'] ?? 'nats-server', '-c', config]
  const bound = process.platform === 'linux' && spawnSync('setpriv', ['--version']).status === 0
  const [program = '', ...args] = bound ? ['setpriv', '--pdeathsig=KILL', ...command] : command
  return spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

async function readPorts(file: string): Promise<{ url: string; wsUrl: string } | undefined> {
  try {
    const ports = JSON.parse(await readFile(file, 'utf8')) as { nats?: string[]; websocket?: string[] }
    const [url] = ports.nats ?? []
    const [wsUrl] = ports.websocket ?? []
    return url && wsUrl ? { url, wsUrl } : undefined
  } catch {
    return undefined
  }
}
