import { once } from 'node:events'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  realpathSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  beginServer,
  type BegunServer,
  type Connection,
  processesBelow,
  readConnection,
  until,
} from '../tests/server-process.ts'

export const VICTIMS = ['server', 'postgres', 'nats', 'agent'] as const
export type Victim = (typeof VICTIMS)[number]

/** Where a child of the server works, below the data folder. */
const FOLDERS: Readonly<Record<Exclude<Victim, 'server'>, string>> = {
  postgres: 'postgres/cluster',
  nats: 'nats',
  agent: 'agent',
}

/** Jobs below `job.campaign.ask` wait for a person; the asker may be that person. */
const POLICY = `version: "1"
default_decision: allow
rules:
  - id: campaign-asks
    match: { topics: [job.campaign.ask] }
    decision: require_approval
    reason: the campaign approves and rejects
    approval: { required: 1, allow_self: true }
`

/** A real installation in a temporary folder, on ports that stay over its restarts; every process of it may be killed. */
export class Installation {
  readonly home = realpathSync(mkdtempSync(join(tmpdir(), 'wh-campaign-')))
  readonly dataDir = join(this.home, 'data')
  /** Where commands leave their marks: the agent's user may write here. */
  readonly effects = join(this.home, 'effects')
  readonly #env: Record<string, string>
  #server: BegunServer | undefined
  #connection: Connection | undefined
  #said = ''
  /** Servers that were told to end, one way or the other. */
  readonly #ending = new Set<BegunServer>()
  /** Servers that stood and ended although nobody killed them: a hand was needed. */
  readonly endedByItself: string[] = []

  private constructor(env: Record<string, string>) {
    this.#env = env
    mkdirSync(this.effects, { mode: 0o777 })
  }

  static async make(env: Record<string, string> = {}): Promise<Installation> {
    const [port, grpc, nats, webSocket] = await freePorts(4)
    const made = new Installation({
      WHEELHOUSE_PORT: `${port}`,
      WHEELHOUSE_GRPC_PORT: `${grpc}`,
      WHEELHOUSE_NATS_PORT: `${nats}`,
      WHEELHOUSE_NATS_WS_PORT: `${webSocket}`,
      WHEELHOUSE_RATE_LIMITS_SCALE: '1000',
      WHEELHOUSE_LOG_LEVEL: 'warn',
      WHEELHOUSE_AGENT_METRICS: '2',
      WHEELHOUSE_AGENT_HEARTBEAT: '2',
      ...env,
    })
    const policy = join(made.home, 'policy.yaml')
    writeFileSync(policy, POLICY)
    made.#env['WHEELHOUSE_POLICY_FILE'] = policy
    // The umask must not keep the agent's user out; the home is nobody else's business but passable.
    chmodSync(made.home, 0o711)
    chmodSync(made.effects, 0o777)
    return made
  }

  get url(): string {
    return `http://127.0.0.1:${this.#env['WHEELHOUSE_PORT']}`
  }

  get natsUrl(): string {
    return `nats://127.0.0.1:${this.#env['WHEELHOUSE_NATS_PORT']}`
  }

  /** What connection.json said when a start was last complete. */
  get connection(): Connection {
    if (!this.#connection) throw new Error('The installation has not been started')
    return this.#connection
  }

  /** All that the servers said, of every life. */
  get output(): string {
    return this.#said + (this.#server?.output() ?? '')
  }

  get serverPid(): number | undefined {
    return this.#server?.process.pid
  }

  /** Begins a start, as `npm start` does, and does not wait for anything. */
  begin(env: Record<string, string> = {}): BegunServer {
    if (this.#server) this.#said += this.#server.output()
    const server = beginServer(this.dataDir, { ...this.#env, ...env })
    this.#server = server
    server.process.once('exit', (code, signal) => {
      if (this.#ending.has(server) || !isUp(server)) return
      this.endedByItself.push(`the server ended by itself (${signal ?? code}): ${server.output().slice(-600)}`)
    })
    return server
  }

  /** Starts and waits for the screen that ends a start. It may be killed meanwhile, or end because a child was killed under it. */
  async start(env: Record<string, string> = {}): Promise<'up' | 'was killed' | 'gave up'> {
    const server = this.begin(env)
    const isOver = () => server.process.exitCode !== null || server.process.signalCode !== null
    await until('the server is up or gone', () => isOver() || isUp(server), 120_000)
    if (isOver()) return this.#ending.has(server) ? 'was killed' : 'gave up'
    this.#connection = readConnection(this.dataDir)
    return 'up'
  }

  /** Waits until the server that runs now is gone. */
  async ended(withinMs = 30_000): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    const server = this.#server?.process
    if (!server) throw new Error('The installation has not been started')
    if (server.exitCode === null && server.signalCode === null) {
      const signal = withinMs === Infinity ? undefined : AbortSignal.timeout(withinMs)
      await once(server, 'exit', { signal })
    }
    return { code: server.exitCode, signal: server.signalCode }
  }

  /** The pid of the server or of a child of it; undefined while it is not there. */
  pidOf(victim: Victim): number | undefined {
    const server = this.serverPid
    if (victim === 'server') return this.#isRunning() ? server : undefined
    const folder = join(this.dataDir, FOLDERS[victim])
    return processesBelow(this.dataDir).find((pid) => {
      try {
        const ours = new RegExp(`^PPid:\\s+${server}$`, 'm').test(readFileSync(`/proc/${pid}/status`, 'utf8'))
        return ours && readlinkSync(`/proc/${pid}/cwd`) === folder
      } catch {
        return false
      }
    })
  }

  /** `kill -9`, once the victim is there. A server that is killed is gone when this resolves. */
  async kill(victim: Victim): Promise<void> {
    let pid: number | undefined
    await until(`there is a ${victim} to kill`, () => (pid = this.pidOf(victim)) !== undefined, 60_000)
    if (victim === 'server' && this.#server) this.#ending.add(this.#server)
    process.kill(pid ?? 0, 'SIGKILL')
    if (victim === 'server') await this.ended()
  }

  /** An orderly stop; throws when it takes longer than 15 s or leaves a process behind. */
  async stop(): Promise<void> {
    this.expectEnd()
    this.#server?.process.kill('SIGTERM')
    const { code } = await this.ended(15_000)
    if (code !== 0) throw new Error(`the stop ended with ${code}`)
    const left = processesBelow(this.home)
    if (left.length > 0) throw new Error(`processes are left: ${left.join(', ')}`)
  }

  /** The server that runs now will end at a crash point, or be told to. */
  expectEnd(): void {
    if (this.#server) this.#ending.add(this.#server)
  }

  /** Ends everything hard. */
  async end(): Promise<void> {
    this.expectEnd()
    if (this.#isRunning()) {
      this.#server?.process.kill('SIGKILL')
      await this.ended()
    }
    await until('no process is left', () => processesBelow(this.home).length === 0, 20_000)
  }

  #isRunning(): boolean {
    return (
      this.#server !== undefined && this.#server.process.exitCode === null && this.#server.process.signalCode === null
    )
  }

  remove(): void {
    rmSync(this.home, { recursive: true, force: true })
  }
}

export const isUp = (server: BegunServer): boolean => server.output().includes('Ctrl-C stops everything')

/** Ports that nobody listens on, below those that the system hands out, so that they stay free while the server is down. */
async function freePorts(count: number): Promise<number[]> {
  const found: number[] = []
  let port = 20_000 + (process.pid % 10_000)
  while (found.length < count) {
    port = port >= 31_000 ? 20_000 : port + 1
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer()
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
    })
    if (free) found.push(port)
  }
  return found
}
