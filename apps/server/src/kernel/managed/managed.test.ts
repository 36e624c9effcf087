import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { pause } from '../clock/index.ts'
import { childIdentity, isRoot, launch } from './launch.ts'
import { processesIn } from './leftovers.ts'
import { startManaged, type Managed } from './managed.ts'
import { postgresBinaries } from './postgres-binaries.ts'

const log = pino({ level: 'silent' })
let home: string
let dataDir: string
const open: Managed[] = []
const spawned: ChildProcess[] = []

beforeEach(() => {
  // mkdtemp makes it 0700 and ours, as a home is: no other user can enter.
  home = mkdtempSync(join(tmpdir(), 'wh-managed-'))
  dataDir = join(home, 'data')
})
afterEach(async () => {
  for (const child of spawned.splice(0)) child.kill('SIGKILL')
  for (const managed of open.splice(0)) await managed.stop()
  rmSync(home, { recursive: true, force: true })
})

const config = () => ({ dataDir, host: '127.0.0.1', natsPort: 0, natsWsPort: 0 })
async function start(): Promise<Managed> {
  const managed = await startManaged(config(), { log })
  open.push(managed)
  return managed
}

async function query<T extends object>(url: string, text: string): Promise<T[]> {
  const client = new Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query<T>(text)).rows
  } finally {
    await client.end()
  }
}

async function until(what: string, holds: () => boolean | Promise<boolean>, withinMs = 15_000): Promise<void> {
  const deadline = Date.now() + withinMs
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`)
    await pause(20)
  }
}

const cluster = () => join(dataDir, 'postgres', 'cluster')
const databaseProcesses = () => processesIn(cluster(), 'postgres')
const busProcesses = () => processesIn(join(dataDir, 'nats'), 'nats-server')
const mode = (...path: string[]) => statSync(join(dataDir, ...path)).mode & 0o777
const pidOf = (managed: Managed, name: string) => managed.children().find((child) => child.name === name)?.pid

describe('the first start', () => {
  test('makes a closed data folder, a database whose owner is no superuser, and a bus, and leaves no process behind', async () => {
    const managed = await start()
    expect([mode(), mode('secrets'), mode('secrets', 'database.json'), mode('secrets', 'operator.json')]).toEqual([
      0o700, 0o700, 0o600, 0o600,
    ])
    const [facts] = await query<{ super: boolean; owns: boolean; encoding: string; address: string }>(
      managed.databaseUrl,
      `select rolsuper as super, pg_get_userbyid(datdba) = current_user as owns, current_setting('server_encoding') as encoding,
              current_setting('listen_addresses') as address
         from pg_roles, pg_database where rolname = current_user and datname = current_database()`,
    )
    expect(facts).toEqual({ super: false, owns: true, encoding: 'UTF8', address: '127.0.0.1' })
    await query(managed.databaseUrl, 'create role probe nologin')
    await query(managed.databaseUrl, 'set role probe')
    expect(managed.children().map(({ name, state }) => [name, state])).toEqual([
      ['postgres', 'running'],
      ['nats-server', 'running'],
    ])
    const socket = new WebSocket(managed.nats.wsUrl ?? '')
    await new Promise((resolve) => socket.addEventListener('open', resolve))
    socket.close()
    await managed.stop()
    expect([databaseProcesses(), busProcesses()]).toEqual([[], []])
  })

  test.runIf(isRoot())('as root gives database and bus users of their own, who cannot read our secrets', async () => {
    const managed = await start()
    const owner = (pid: number | undefined) => /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    expect(owner(pidOf(managed, 'postgres'))).toBe('64801')
    expect(owner(pidOf(managed, 'nats-server'))).toBe('64802')
    expect(statSync(join(dataDir, 'secrets')).uid).toBe(0)
  })

  test('begins anew where an earlier one was cut off while it made the database', async () => {
    mkdirSync(join(dataDir, 'postgres', 'new', 'base'), { recursive: true })
    writeFileSync(join(dataDir, 'postgres', 'password'), 'half')
    const managed = await start()
    expect(await query(managed.databaseUrl, 'select 1 as one')).toEqual([{ one: 1 }])
  })
})

describe('a later start', () => {
  test('takes up the same data, keys and passwords', async () => {
    const first = await start()
    await query(first.databaseUrl, 'create table kept as select 42 as answer')
    await first.stop()
    const second = await start()
    expect(await query(second.databaseUrl, 'select answer from kept')).toEqual([{ answer: 42 }])
    expect(second.nats.keys).toEqual(first.nats.keys)
  })

  test('is refused while another server holds the folder, whose children stay untouched', async () => {
    const first = await start()
    await expect(start()).rejects.toThrow(/Another Wheelhouse \(pid \d+\) is running on the data folder/)
    expect(await query(first.databaseUrl, 'select 1 as one')).toEqual([{ one: 1 }])
    await first.stop()
    await (await start()).stop()
  })

  test('is not stopped by a pid file that names a stranger', async () => {
    const first = await start()
    const pidFile = join(cluster(), 'postmaster.pid')
    const text = readFileSync(pidFile, 'utf8')
    await first.stop()
    writeFileSync(pidFile, text.replace(/^\d+/, String(process.ppid)))
    await start()
  })

  test('ends a database that an earlier server left running', async () => {
    await (await start()).stop()
    const orphan = launch({
      program: postgresBinaries().postgres,
      args: ['-D', '/proc/self/cwd', '-c', 'listen_addresses=', '-c', 'unix_socket_directories=.'],
      cwd: cluster(),
      identity: childIdentity('database'),
      deathSignal: 'KILL',
      output: 'ignore',
    })
    spawned.push(orphan)
    await until('the orphan runs', () => databaseProcesses().length > 3)
    const managed = await start()
    expect(orphan.exitCode ?? orphan.signalCode).not.toBeNull()
    expect(await query(managed.databaseUrl, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  test('without the passwords of an existing database says which file is gone', async () => {
    await (await start()).stop()
    rmSync(join(dataDir, 'secrets', 'database.json'))
    await expect(start()).rejects.toThrow(/database\.json holds the passwords .* restore it/)
  })
})

describe('supervision', () => {
  test('starts a killed database and a killed bus again, at the same addresses and with their data', async () => {
    const managed = await start()
    await query(managed.databaseUrl, 'create table kept as select 42 as answer')
    const before = { database: pidOf(managed, 'postgres'), bus: pidOf(managed, 'nats-server') }
    process.kill(before.database ?? 0, 'SIGKILL')
    process.kill(before.bus ?? 0, 'SIGKILL')
    await until('both run again', () =>
      managed.children().every(({ state, restarts }) => state === 'running' && restarts === 1),
    )
    expect(pidOf(managed, 'postgres')).not.toBe(before.database)
    expect(await query(managed.databaseUrl, 'select answer from kept')).toEqual([{ answer: 42 }])
    const socket = new WebSocket(managed.nats.wsUrl ?? '')
    await new Promise(
      (resolve, reject) => socket.addEventListener('open', resolve) ?? socket.addEventListener('error', reject),
    )
    socket.close()
  })

  test('leaves no child behind a server that was killed, and the next server takes up the data', async () => {
    const server = await serverProcess()
    await query(server.databaseUrl, 'create table kept as select 42 as answer')
    // A session in the middle of something must not hold up the end.
    const busy = new Client({ connectionString: server.databaseUrl })
    busy.on('error', () => undefined)
    await busy.connect()
    const cut = busy.query('select pg_sleep(600)').catch((error: Error) => error)
    server.process.kill('SIGKILL')
    await until('all children are gone', () => databaseProcesses().length + busProcesses().length === 0, 10_000)
    expect(await cut).toBeInstanceOf(Error)
    const managed = await start()
    expect(await query(managed.databaseUrl, 'select answer from kept')).toEqual([{ answer: 42 }])
  })

  test('lets the next server start in the very moment of the kill', async () => {
    const server = await serverProcess()
    const gone = new Promise((resolve) => server.process.once('exit', resolve))
    server.process.kill('SIGKILL')
    await gone
    const managed = await start()
    expect(await query(managed.databaseUrl, 'select 1 as one')).toEqual([{ one: 1 }])
  })
})

test('two installations run side by side', async () => {
  const first = await start()
  const second = await startManaged({ ...config(), dataDir: join(home, 'other') }, { log })
  open.push(second)
  expect(second.databaseUrl).not.toBe(first.databaseUrl)
  expect(second.nats.url).not.toBe(first.nats.url)
})

test('a database and a bus of one’s own are taken as they are, the bus with the keys of its operator', async () => {
  const keysFile = join(home, 'operator.json')
  const given = { ...config(), databaseUrl: 'postgres://u@h/d', natsUrl: 'nats://h:4222' }
  await expect(startManaged(given, { log })).rejects.toThrow(/NATS_URL needs the keys/)
  const first = await start()
  writeFileSync(keysFile, JSON.stringify(first.nats.keys))
  await first.stop()
  const managed = await startManaged({ ...given, natsOperatorFile: keysFile }, { log })
  open.push(managed)
  expect(managed).toMatchObject({ databaseUrl: given.databaseUrl, nats: { url: given.natsUrl, keys: first.nats.keys } })
  expect(managed.children()).toEqual([])
})

async function serverProcess(): Promise<{ process: ChildProcess; databaseUrl: string }> {
  const module = fileURLToPath(new URL('managed.ts', import.meta.url))
  const script = `import { startManaged } from ${JSON.stringify(module)}
    import { pino } from 'pino'
    const managed = await startManaged(${JSON.stringify(config())}, { log: pino({ level: 'silent' }) })
    console.log(managed.databaseUrl)
    setInterval(() => undefined, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  spawned.push(child)
  const databaseUrl = await new Promise<string>((resolve, reject) => {
    child.stdout?.once('data', (chunk: Buffer) => resolve(chunk.toString().trim()))
    child.once('exit', (code) => reject(new Error(`the server process ended with ${code}`)))
  })
  return { process: child, databaseUrl }
}
