import { spawn, type ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const PROJECT = fileURLToPath(new URL('..', import.meta.url))

export interface Connection {
  url: string
  grpc: string
  nats: string
  natsWebSocket: string
  tenant: string
  admin: { email: string; password: string; apiKey: string }
  pid: number
}

/** A server begun as `npm start` begins it, on free ports and a data folder of the test's own. */
export interface BegunServer {
  process: ChildProcess
  /** Everything that it said so far. */
  output(): string
  /** Resolves with code and signal once the command is gone. */
  ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

export interface ServerProcess extends BegunServer {
  connection: Connection
}

/** Begins a start and does not wait for anything. */
export function beginServer(dataDir: string, env: Record<string, string> = {}): BegunServer {
  const child = spawn(process.execPath, [join(PROJECT, 'scripts', 'start.mjs')], {
    cwd: PROJECT,
    env: {
      ...process.env,
      WHEELHOUSE_DATA_DIR: dataDir,
      WHEELHOUSE_PORT: '0',
      WHEELHOUSE_GRPC_PORT: '0',
      WHEELHOUSE_NATS_PORT: '0',
      WHEELHOUSE_NATS_WS_PORT: '0',
      ...env,
    },
    // A process group of its own, as a terminal gives it.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) =>
    child.once('close', (code, signal) => resolve({ code, signal })),
  )
  return { process: child, output: () => output, ended }
}

/** Starts the server and waits for the screen that ends its start; throws with its output when it ends before. */
export async function startServer(dataDir: string, env: Record<string, string> = {}): Promise<ServerProcess> {
  const server = beginServer(dataDir, env)
  let over = false
  void server.ended.then(() => (over = true))
  await until('the server is up', () => over || server.output().includes('Ctrl-C stops everything'), 120_000)
  if (over) throw new Error(`the server ended during its start:\n${server.output()}`)
  return { ...server, connection: readConnection(dataDir) }
}

export function readConnection(dataDir: string): Connection {
  return JSON.parse(readFileSync(join(dataDir, 'connection.json'), 'utf8')) as Connection
}

/** Pids of the processes that work in the data folder: children of the server, whoever runs them. The test runs as their superior. */
export function processesBelow(dataDir: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readlinkSync(`/proc/${pid}/cwd`).startsWith(`${dataDir}/`)
      } catch {
        return false
      }
    })
    .map(Number)
}

/** The pid of a child of the server by the folder that it works in: `postgres/cluster`, `nats`, `agent`. */
export function childOf(server: ServerProcess, dataDir: string, folder: string): number {
  const found = processesBelow(dataDir).find(
    (pid) => readlinkSync(`/proc/${pid}/cwd`) === join(dataDir, folder) && parentOf(pid) === server.connection.pid,
  )
  if (!found) throw new Error(`no child of the server works in ${folder}`)
  return found
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}

/** Waits on a condition, not on time; throws when it does not hold within `withinMs`. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, withinMs = 20_000): Promise<void> {
  const deadline = Date.now() + withinMs
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`)
    await pause(25)
  }
}
