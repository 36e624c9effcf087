import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, realpathSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  beginServer,
  childOf,
  processesBelow,
  readConnection,
  startServer,
  until,
  type ServerProcess,
} from './server-process.ts'

const isRoot = process.getuid?.() === 0
let home: string
let dataDir: string
const running: ServerProcess[] = []

beforeEach(() => {
  home = realpathSync(mkdtempSync(join(tmpdir(), 'wh-start-')))
  dataDir = join(home, 'data')
})
afterEach(async () => {
  for (const server of running.splice(0)) {
    server.process.kill('SIGKILL')
    await server.ended
  }
  await until('no process is left', () => processesBelow(home).length === 0)
  rmSync(home, { recursive: true, force: true })
})

async function start(folder = dataDir): Promise<ServerProcess> {
  const server = await startServer(folder)
  running.push(server)
  return server
}

async function healthy({ connection }: ServerProcess): Promise<boolean> {
  const answer = await fetch(`${connection.url}/health`).catch(() => undefined)
  return answer?.status === 200
}

/** Whether the administrator's key opens a documented endpoint, which reads from the database. */
async function serves({ connection }: ServerProcess): Promise<boolean> {
  const headers = { authorization: `Bearer ${connection.admin.apiKey}` }
  const answer = await fetch(`${connection.url}/api/v1/instances`, { headers }).catch(() => undefined)
  return answer?.status === 200
}

describe('the first start', () => {
  test('ends with one screen and connection.json, and the key in it works', async () => {
    const server = await start()
    const { connection } = server
    expect(statSync(join(dataDir, 'connection.json')).mode & 0o777).toBe(0o600)
    expect(statSync(dataDir).mode & 0o777).toBe(0o700)
    expect(connection).toEqual({
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      grpc: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      nats: expect.stringMatching(/^nats:\/\/127\.0\.0\.1:\d+$/),
      natsWebSocket: expect.stringMatching(/^ws:\/\/127\.0\.0\.1:\d+$/),
      tenant: 'default',
      admin: {
        email: expect.stringContaining('@'),
        password: expect.any(String),
        apiKey: expect.stringMatching(/^wh_/),
      },
      pid: server.process.pid,
    })
    for (const text of [connection.url, connection.admin.email, connection.admin.password, connection.admin.apiKey])
      expect(server.output()).toContain(text)
    expect(await healthy(server)).toBe(true)
    expect(await serves(server)).toBe(true)
  })

  test.runIf(isRoot)('as root runs database, bus and agent as users of their own', async () => {
    const server = await start()
    await until('the agent runs', () => hasChild(server, 'agent'))
    const user = (folder: string) =>
      /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${childOf(server, dataDir, folder)}/status`, 'utf8'))?.[1]
    const users = ['postgres/cluster', 'nats', 'agent'].map(user)
    expect(users).not.toContain('0')
    expect(new Set(users).size).toBe(3)
    // What a command on this host runs as must not read the secrets (decisions D9).
    const agentUser = users.at(-1)
    const look = spawnSync('setpriv', [`--reuid=${agentUser}`, `--regid=${agentUser}`, '--clear-groups', 'ls', dataDir])
    expect(look.status).not.toBe(0)
  })
})

describe('a later start', () => {
  test('keeps tenant, user and key, and the kill of the server in between leaves no process and no harm', async () => {
    const first = await start()
    first.process.kill('SIGKILL')
    expect(await first.ended).toMatchObject({ signal: 'SIGKILL' })
    await until('the children follow', () => processesBelow(dataDir).length === 0, 10_000)
    const second = await start()
    const { tenant, admin } = second.connection
    expect({ tenant, admin }).toEqual({ tenant: first.connection.tenant, admin: first.connection.admin })
    expect(await serves(second)).toBe(true)
    expect(second.output()).not.toContain('Building')
  })

  test('takes up what starts left that were killed at any moment of theirs', async () => {
    // From the making of the database to the first answers; each kill meets what the one before left behind.
    for (const afterMs of [60, 250, 450, 650, 800, 950, 1100, 1300, 1600]) {
      const child = beginServer(dataDir)
      await pause(afterMs)
      child.process.kill('SIGKILL')
      expect(await child.ended).toMatchObject({ signal: 'SIGKILL' })
    }
    expect(await serves(await start())).toBe(true)
  })

  test('is refused in words while the first one runs', async () => {
    const first = await start()
    const refused = startServer(dataDir)
    await expect(refused).rejects.toThrow(new RegExp(`Another Wheelhouse \\(pid ${first.connection.pid}\\) is running`))
    await expect(refused).rejects.not.toThrow(/\n\s+at /)
    expect(await healthy(first)).toBe(true)
  })

  test('that misspells a setting is refused with the nearest known one', async () => {
    await expect(startServer(dataDir, { WHEELHOUSE_PROT: '1' })).rejects.toThrow(/did you mean WHEELHOUSE_PORT\?/)
  })
})

describe('the stop', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('on %s is orderly, within 10 s, and leaves no process', async (signal) => {
    const server = await start()
    const began = Date.now()
    // The whole group hears a Ctrl-C.
    if (signal === 'SIGINT') process.kill(-(server.process.pid ?? 0), signal)
    else server.process.kill(signal)
    expect(await server.ended).toEqual({ code: 0, signal: null })
    expect(Date.now() - began).toBeLessThan(10_000)
    expect(processesBelow(home)).toEqual([])
    const log = readFileSync(join(dataDir, 'logs', 'postgres.log'), 'utf8')
    expect(log.trimEnd()).toMatch(/database system is shut down$/)
    expect(server.output()).not.toContain('A child process ended')
  })

  test('by Ctrl-C is quiet at any moment of a start, and the next start takes up what is there', async () => {
    for (const afterMs of [100, 400, 700, 1000, 1300, 1700, 2200, 2800]) {
      const begun = beginServer(dataDir)
      await pause(afterMs)
      process.kill(-(begun.process.pid ?? 0), 'SIGINT')
      const { code, signal } = await begun.ended
      // Before the server listens for signals there is nothing to close, and the signal itself ends it.
      expect(code === 0 || signal === 'SIGINT', `after ${afterMs} ms: ${code} ${signal}\n${begun.output()}`).toBe(true)
      expect(begun.output()).not.toMatch(/\n\s+at |A child process ended|cannot be started/)
      expect(processesBelow(home)).toEqual([])
    }
    expect(await serves(await start())).toBe(true)
  })
})

describe('while the server runs', () => {
  test('a killed database, bus or agent is started again and the work goes on', async () => {
    const server = await start()
    await until('the agent runs', () => hasChild(server, 'agent'))
    for (const folder of ['postgres/cluster', 'nats', 'agent']) {
      const before = childOf(server, dataDir, folder)
      process.kill(before, 'SIGKILL')
      await until(`${folder} runs again`, () => hasChild(server, folder) && childOf(server, dataDir, folder) !== before)
    }
    await until('the server serves', () => serves(server))
    expect(readConnection(dataDir)).toEqual(server.connection)
  })
})

test('two installations run side by side, each with its own key', async () => {
  const [one, two] = await Promise.all([start(), start(join(home, 'other'))])
  const mixed = { ...one, connection: { ...one.connection, admin: two.connection.admin } }
  expect([await serves(one), await serves(two), await serves(mixed)]).toEqual([true, true, false])
})

function hasChild(server: ServerProcess, folder: string): boolean {
  try {
    return childOf(server, dataDir, folder) > 0
  } catch {
    return false
  }
}
