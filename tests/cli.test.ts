import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, statSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { processesBelow, readConnection, type ServerProcess, startServer, until } from './server-process.ts'

const PROJECT = fileURLToPath(new URL('..', import.meta.url))
const RATES = { WHEELHOUSE_RATE_LIMITS_SCALE: '100' }
const CLI = join(PROJECT, 'apps', 'cli', 'bin', 'wheelhouse.mjs')

let home: string
let dataDir: string
let server: ServerProcess
const children: ChildProcess[] = []

beforeAll(async () => {
  home = realpathSync(mkdtempSync(join(tmpdir(), 'wh-cli-')))
  dataDir = join(home, 'data')
  // The documented budgets (ten commands a minute) have tests of their own.
  server = await startServer(dataDir, RATES)
  await until('the machine itself is in the fleet', async () => {
    const { stdout } = await cli(['instance', 'list', '--status', 'RUNNING', '-o', 'name'])
    return stdout.split('\n').includes(hostname())
  })
})
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  server.process.kill('SIGTERM')
  await server.ended
  await until('no process is left', () => processesBelow(home).length === 0)
  rmSync(home, { recursive: true, force: true })
})

interface Running {
  process: ChildProcess
  stdout(): string
  stderr(): string
  /** When each piece of stdout came. */
  times: number[]
  ended: Promise<{ code: number | null; stdout: string; stderr: string }>
}

/** A command line as a person's shell would run it, with a configuration of the test's own. */
function begin(args: readonly string[], options: { env?: Record<string, string>; stdin?: string } = {}): Running {
  const child = spawn(process.execPath, [CLI, ...args], {
    cwd: home,
    env: { PATH: process.env['PATH'], HOME: home, WHEELHOUSE_DATA_DIR: dataDir, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  children.push(child)
  child.stdin.end(options.stdin ?? '')
  let [stdout, stderr] = ['', '']
  const times: number[] = []
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
    times.push(Date.now())
  })
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) =>
    child.once('close', (code) => resolve({ code, stdout, stderr })),
  )
  return { process: child, stdout: () => stdout, stderr: () => stderr, times, ended }
}

const cli = (args: readonly string[], options: Parameters<typeof begin>[1] = {}) => begin(args, options).ended
/** The command lines of all processes of this host, which is the machine that the commands run on. */
const commandLines = (): string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return [readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()]
      } catch {
        return []
      }
    })

const as = (name: string): string[] => ['--context', name]

describe('a command on a machine', () => {
  test('is seen while it runs, each stream on its own, and ends as it ended there', async () => {
    const running = begin(['exec', hostname(), 'echo one; echo err >&2; sleep 1; echo two; exit 7'])
    expect(await running.ended).toEqual({ code: 7, stdout: 'one\ntwo\n', stderr: 'err\n' })
    expect((running.times.at(-1) ?? 0) - (running.times[0] ?? 0)).toBeGreaterThan(700)
  })

  test('ends there when it is interrupted here', async () => {
    const running = begin(['exec', '--timeout', '60s', hostname(), 'echo begun; exec sleep 54.321'])
    await until('it runs', () => running.stdout() === 'begun\n' && commandLines().includes('sleep 54.321'))
    running.process.kill('SIGINT')
    expect(await running.ended).toMatchObject({ code: 130, stderr: expect.stringContaining('Cancelled there too') })
    const { stdout } = await cli(['job', 'list', '-o', 'json', '--limit', '1'])
    expect((JSON.parse(stdout) as { items: object[] }).items[0]).toMatchObject({ state: 'CANCELLED' })
    await until('it is gone there', () => !commandLines().includes('sleep 54.321'))
  })

  test('that policy denies reaches nothing: 6, with the rule and the reason', async () => {
    const { code, stderr } = await cli(['exec', hostname(), 'rm -rf / --help'])
    expect(code).toBe(6)
    expect(stderr).toContain('rule: destroys-filesystem')
    const jobId = /jobId: (\S+)/.exec(stderr)?.[1] ?? ''
    expect(await cli(['job', 'why', jobId])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('DENY by rule destroys-filesystem'),
    })
    expect((await cli(['exec', '--dry-run', hostname(), 'rm -rf /'])).code).toBe(6)
    expect((await cli(['exec', '--dry-run', hostname(), 'uptime'])).code).toBe(0)
    expect((await cli(['exec', 'nobody', 'uptime'])).code).toBe(4)
  })

  test('on a production machine waits for a second person, who decides it by name', async () => {
    const { stdout: token } = await cli([
      'agent',
      'invite',
      '--name',
      'shop-1',
      '--label',
      'env=production',
      '-o',
      'name',
      '-q',
    ])
    const agent = begin(['agent', 'join', server.connection.url, token.trim(), '--folder', join(home, 'agent')])
    await until('the second machine is there', async () =>
      (await cli(['instance', 'list', '--status', 'RUNNING', '-o', 'name'])).stdout.includes('shop-1'),
    )
    expect(statSync(join(home, 'agent', 'token')).mode & 0o777).toBe(0o600)
    const again = await cli(['agent', 'join', server.connection.url, token.trim(), '--folder', join(home, 'other')])
    expect(again).toMatchObject({ code: 3, stderr: expect.stringContaining('wheelhouse agent invite') })

    const held = await cli(['exec', 'shop-1', 'uptime'])
    expect(held).toMatchObject({ code: 7, stdout: '', stderr: expect.stringContaining('rule production-exec') })
    const jobId = /job approve (\S+)/.exec(held.stderr)?.[1] ?? ''
    expect((await cli(['approval', 'list', '-o', 'name'])).stdout).toContain(jobId)
    expect(await cli(['job', 'approve', jobId])).toMatchObject({
      code: 6,
      stderr: expect.stringContaining('second one'),
    })

    const password = 'Second-person-1!'
    expect(
      (await cli(['user', 'create', 'ada', '--role', 'approver', '--password-stdin'], { stdin: password })).code,
    ).toBe(0)
    const login = ['login', server.connection.url, '--user', 'ada', '--password-stdin', '--name', 'ada']
    expect((await cli(login, { stdin: password })).code).toBe(0)
    const watching = begin(['job', 'watch', jobId, '--data-dir', dataDir])
    expect((await cli(['job', 'approve', jobId, '--reason', 'seen', ...as('ada')])).code).toBe(0)
    expect(await watching.ended).toMatchObject({ code: 0, stdout: expect.stringContaining('load average') })

    const waiting = begin(['exec', '--wait', '--data-dir', dataDir, 'shop-1', 'uptime'])
    await until('it waits', () => waiting.stderr().includes('Waiting for the decision'))
    const next = /job approve (\S+)/.exec(waiting.stderr())?.[1] ?? ''
    expect((await cli(['approval', 'reject', next, '--reason', 'not today', ...as('ada')])).code).toBe(0)
    expect(await waiting.ended).toMatchObject({ code: 6, stderr: expect.stringContaining('not today') })
    agent.process.kill('SIGINT')
    await agent.ended
    expect((await cli(['logout', 'ada'])).code).toBe(0)
    expect((await cli(['context', 'list', '-o', 'name'])).stdout).toBe('')
  })
})

test('a shell on a machine types what stdin says and shows what it answers', async () => {
  const { code, stdout } = await cli(['instance', 'shell', hostname()], { stdin: 'echo shell-$((40 + 2)); exit\n' })
  expect(code).toBe(0)
  expect(stdout).toContain('shell-42')
})

describe('logging in', () => {
  const file = () => join(home, '.config', 'wheelhouse', 'config.yaml')

  test('by password keeps a key of this computer’s own, which logging out revokes', async () => {
    const { url, admin } = server.connection
    const wrong = await cli(['login', url, '--user', 'admin', '--password-stdin'], { stdin: 'wrong' })
    expect(wrong).toMatchObject({ code: 3, stderr: expect.stringContaining('invalid credentials') })
    const done = await cli(['login', url, '--user', admin.email, '--password-stdin', '--name', 'me'], {
      stdin: `${admin.password}\n`,
    })
    expect(done).toMatchObject({ code: 0, stderr: expect.stringContaining('The context is me') })
    expect(statSync(file()).mode & 0o777).toBe(0o600)
    const kept = readFileSync(file(), 'utf8')
    expect(kept).not.toContain(admin.password)
    const token = /token: (\S+)/.exec(kept)?.[1] ?? ''
    expect((await cli(['whoami', '-o', 'json', ...as('me')])).stdout).toContain('admin@')
    expect((await cli(['logout', 'me'])).code).toBe(0)
    const gone = await cli(['whoami', '--url', url], { env: { WHEELHOUSE_API_KEY: token } })
    expect(gone).toMatchObject({ code: 3, stdout: '' })
  })

  test('through a browser waits until somebody there confirms the code', async () => {
    const { url } = server.connection
    const running = begin(['login', url, '--device', '--name', 'device'])
    await until('the code is shown', () => /^ {4}(\S+)$/m.test(running.stderr()))
    const userCode = /^ {4}(\S+)$/m.exec(running.stderr())?.[1] ?? ''
    // Whoever sits at the browser: a signed-in user; a key may not confirm.
    const { email, password } = server.connection.admin
    const login = await cli(['api', 'POST', '/api/v1/auth/login', '-d', '@-', '--data-dir', dataDir], {
      stdin: JSON.stringify({ username: email, password }),
    })
    const { token } = JSON.parse(login.stdout) as { token: string }
    const confirm = ['api', 'POST', '/wheelhouse/api/v1/device/approve', '-F', `user_code=${userCode}`]
    expect((await cli([...confirm, '--data-dir', dataDir])).code).toBe(3)
    const confirmed = await cli(confirm, { env: { WHEELHOUSE_URL: url, WHEELHOUSE_API_KEY: token } })
    expect(confirmed).toMatchObject({ code: 0, stdout: expect.stringContaining('"approved": true') })
    expect(await running.ended).toMatchObject({ code: 0 })
    expect((await cli(['whoami', ...as('device')])).code).toBe(0)
    expect((await cli(['logout', 'device'])).code).toBe(0)
  })
})

describe('the log of a machine', () => {
  test('is followed as it grows, and what matches is chosen here and there alike', async () => {
    const ingest = (message: string, level = 'INFO') =>
      cli([
        'api',
        'POST',
        '/api/v1/logs/ingest',
        '-d',
        JSON.stringify({ instanceId: hostname(), level, source: 'APP', message }),
      ])
    await ingest('before')
    const running = begin(['instance', 'logs', hostname(), '-f', '-o', 'json', '--source', 'APP'])
    await until('the past is shown', () => running.stdout().includes('before'))
    await ingest('after', 'WARN')
    await until('the new line is shown', () => running.stdout().includes('after'))
    running.process.kill('SIGINT')
    const { code, stdout } = await running.ended
    expect(code).toBe(130)
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { message: string })
    expect(lines.map(({ message }) => message)).toEqual(['before', 'after'])
    const warnings = await cli(['instance', 'logs', hostname(), '--source', 'app', '--level', 'warn'])
    expect(warnings.stdout).toMatch(/WARN +after\n$/)
    expect(warnings.stdout).not.toContain('before')
  })
})

describe('jobs, environments and the trail', () => {
  test('a job of a verb is submitted, followed and found again', async () => {
    const input = `{instanceId: ${hostname()}, command: 'echo by topic'}`
    const done = await cli(['job', 'submit', 'job.wh.fleet.command.execute', '-i', input, '--wait', '--key', 'once'])
    expect(done).toMatchObject({ code: 0, stdout: expect.stringContaining('by topic\n') })
    const again = await cli(['job', 'submit', 'job.wh.fleet.command.execute', '-i', input, '--key', 'once', '-q'])
    const output = await cli(['job', 'output', again.stdout.trim()])
    expect(output).toMatchObject({ code: 0, stdout: 'by topic\n' })
    expect((await cli(['job', 'get', again.stdout.trim(), '-o', 'json'])).stdout).toContain('"SUCCEEDED"')
    expect((await cli(['job', 'get', 'no-such-job'])).code).toBe(4)
  })

  test('environments are made, frozen and removed', async () => {
    const id = (await cli(['env', 'create', 'staging', '--approvals', '1', '-o', 'name'])).stdout.trim()
    expect(await cli(['env', 'create', 'staging'])).toMatchObject({ code: 5 })
    expect((await cli(['env', 'freeze', id, 'inventory', '--for', '2h'])).code).toBe(0)
    expect((await cli(['env', 'list'])).stdout).toMatch(/staging +staging +0 +(yes|no) +1 +yes/)
    expect((await cli(['env', 'delete', id, '--yes'])).code).toBe(0)
  })

  test('what was done stands in a trail that proves itself, and the demo tells it all', async () => {
    expect((await cli(['audit', 'list', '--action', 'EXECUTE'])).stdout).toContain('command')
    expect(await cli(['audit', 'verify'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Intact +yes/) })
    const demo = spawn(process.execPath, [join(PROJECT, 'scripts', 'demo.ts')], {
      env: { ...process.env, WHEELHOUSE_DATA_DIR: dataDir },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let told = ''
    for (const stream of [demo.stdout, demo.stderr]) stream.on('data', (chunk: Buffer) => (told += chunk.toString()))
    const code = await new Promise((resolve) => demo.once('close', resolve))
    expect([code, told]).toEqual([0, expect.stringContaining('That is all of it')])
  })
})

describe('the administrator’s secrets', () => {
  test('are made anew on the host beside the running server, and the old ones stop working', async () => {
    const before = server.connection.admin
    const { code, stdout } = await cli(['admin', 'reset', '--yes', '-o', 'json'])
    expect(code).toBe(0)
    expect(readConnection(dataDir)).toEqual({ ...server.connection, admin: JSON.parse(stdout) as object })
    expect((await cli(['whoami'])).code).toBe(0)
    const old = { env: { WHEELHOUSE_URL: server.connection.url, WHEELHOUSE_API_KEY: before.apiKey } }
    await until('the old key has ended', async () => (await cli(['whoami'], old)).code === 3)
    const login = ['login', server.connection.url, '--user', 'admin', '--password-stdin']
    expect((await cli(login, { stdin: before.password })).code).toBe(3)
  })

  test('are made anew also while the server is down', async () => {
    server.process.kill('SIGTERM')
    await server.ended
    expect((await cli(['admin', 'reset', '--yes'])).code).toBe(0)
    expect(processesBelow(dataDir)).toEqual([])
    server = await startServer(dataDir, RATES)
    expect((await cli(['whoami'])).code).toBe(0)
    expect((await cli(['admin', 'reset', '--yes', '--data-dir', join(home, 'nowhere')])).stderr).toContain(
      'no installation',
    )
  })
})

test('npx runs it in a clone, and the configuration is printed with its sources', async () => {
  const { bin } = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')) as { bin: object }
  const words = ['--no', ...Object.keys(bin), 'config']
  const npx = spawn('npx', words, {
    cwd: PROJECT,
    env: { ...process.env, WHEELHOUSE_DATA_DIR: dataDir, npm_config_update_notifier: 'false' },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let printed = ''
  npx.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()))
  expect(await new Promise((resolve) => npx.once('close', resolve))).toBe(0)
  expect(printed).toContain(`dataDir: ${dataDir} # environment: WHEELHOUSE_DATA_DIR`)
})
