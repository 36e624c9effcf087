import { accessSync, chmodSync, chownSync, constants, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { ChildProcess } from 'node:child_process'
import { closeSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Logger } from 'pino'
import { natsServerConfig, newOperator, type OperatorKeys } from '../bus/index.ts'
import { pause } from '../clock/index.ts'
import { keepSecret, prepareChildFolder } from './data-folder.ts'
import { childIdentity, launch } from './launch.ts'
import { endLeftovers } from './leftovers.ts'
import { openLog } from './log-file.ts'
import { StartError } from './start-error.ts'
import { supervise, type Supervised } from './supervise.ts'

export interface ManagedNats extends Supervised {
  url: string
  wsUrl: string
  keys: OperatorKeys
}

export interface NatsOptions {
  dataDir: string
  host: string
  /** 0 = any free one, which is then kept over restarts of the child. */
  port: number
  wsPort: number
  /** Aborted once the server ends. */
  ending: AbortSignal
  log: Logger
}

/** Finds nats-server on the path, or where Debian puts it; throws with how to get it. */
export function findNatsServer(env: NodeJS.ProcessEnv = process.env): string {
  const folders = [
    ...(env['PATH'] ?? '').split(delimiter),
    '/usr/local/bin',
    '/usr/local/sbin',
    '/usr/sbin',
    '/usr/bin',
  ]
  for (const folder of folders.filter(Boolean)) {
    const file = join(folder, 'nats-server')
    try {
      accessSync(file, constants.X_OK)
      return file
    } catch {
      // The next folder may have it.
    }
  }
  throw new StartError(
    'nats-server is not installed. Install it (`sudo apt-get install nats-server`, `brew install nats-server`, or the binary ' +
      'from nats.io on the path), or set NATS_URL to a running one.',
  )
}

/**
 * nats-server as our child in operator mode, its files in `<data>/nats`. The operator's keys are made once and stay ours:
 * the bus's own user cannot read them.
 */
export async function startManagedNats({
  dataDir,
  host,
  port,
  wsPort,
  ending,
  log,
}: NatsOptions): Promise<ManagedNats> {
  const program = findNatsServer()
  const keys = keepSecret<OperatorKeys>(dataDir, 'operator.json', newOperator)
  const dir = join(dataDir, 'nats')
  const identity = childIdentity('bus')
  prepareChildFolder(dir, identity)
  let ports: Ports | undefined

  const supervised = await supervise({
    name: 'nats-server',
    ending,
    log,
    stopSignal: 'SIGTERM',
    stopWithinMs: 2_000,
    async start() {
      await endLeftovers(dir, 'nats-server', 'SIGTERM', 3_000)
      const inside = (name: string) => (process.platform === 'linux' ? join('/proc/self/cwd', name) : join(dir, name))
      rmSync(join(dir, 'ports'), { recursive: true, force: true })
      mkdirSync(join(dir, 'ports'), { mode: 0o700 })
      const text = natsServerConfig(keys, {
        host,
        port: ports?.port ?? port,
        wsPort: ports?.wsPort ?? wsPort,
        storeDir: inside('store'),
        jwtDir: inside('jwt'),
        portsFileDir: inside('ports'),
        serverName: 'wheelhouse',
      })
      writeFileSync(join(dir, 'nats.conf'), text, { mode: 0o600 })
      for (const name of ['ports', 'nats.conf']) if (identity) chownSync(join(dir, name), identity.uid, identity.gid)
      chmodSync(dir, 0o700)
      const logFile = join(dataDir, 'logs', 'nats-server.log')
      const output = openLog(logFile)
      const child = launch({ program, args: ['-c', 'nats.conf'], cwd: dir, identity, deathSignal: 'TERM', output })
      closeSync(output)
      ports = await listening(child, dir, logFile)
      return child
    },
  })
  const open = ports as Ports | undefined
  if (!open) throw new StartError('nats-server named no ports')
  const reach = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return { ...supervised, keys, url: `nats://${reach}:${open.port}`, wsUrl: `ws://${reach}:${open.wsPort}` }
}

interface Ports {
  port: number
  wsPort: number
}

async function listening(child: ChildProcess, dir: string, logFile: string): Promise<Ports> {
  child.once('error', () => undefined)
  const deadline = Date.now() + 15_000
  while (child.pid !== undefined && child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
    const ports = readPorts(join(dir, 'ports', `nats-server_${child.pid}.ports`))
    if (ports) return ports
    await pause(15)
  }
  child.kill('SIGKILL')
  const said = readFileSync(logFile, 'utf8').split('\n').slice(-8).join('\n').trim()
  const taken = said.includes('address already in use')
  throw new StartError(
    `nats-server did not start: ${said || 'it said nothing'}` +
      (taken ? '\nSet WHEELHOUSE_NATS_PORT and WHEELHOUSE_NATS_WS_PORT to other ports, or to 0 for free ones.' : ''),
  )
}

function readPorts(file: string): Ports | undefined {
  try {
    const { nats, websocket } = JSON.parse(readFileSync(file, 'utf8')) as { nats?: string[]; websocket?: string[] }
    const [port, wsPort] = [nats, websocket].map((urls) => Number(new URL(urls?.[0] ?? '').port))
    return port && wsPort ? { port, wsPort } : undefined
  } catch {
    return undefined
  }
}
