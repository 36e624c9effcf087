import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AgentProcess, isAlive, TestServer, TOKEN, until } from './agent-harness.ts'

// One agent and one server for the tests that leave both as they were.
const server = new TestServer()
let agent: AgentProcess

beforeAll(async () => {
  server.intervals = { heartbeat_ms: 200, metrics_ms: 500 }
  await server.start()
  agent = new AgentProcess(server, {
    WHEELHOUSE_AGENT_LABELS: 'team=core,zone=a',
    WHEELHOUSE_AGENT_MAX_TASKS: '4',
    // As the managed agent is started: its user may not be able to walk the way to the folder by name.
    WHEELHOUSE_AGENT_DATA_DIR: '/proc/self/cwd/.',
  }).start()
  await server.next('hello')
})

afterAll(async () => {
  await agent.remove()
  await server.stop()
})

describe('joining', () => {
  test('registers as the base protocol says, then connects with the bearer token alone', () => {
    const [registration] = server.registrations
    expect(registration?.headers.authorization).toBe(`Bearer ${TOKEN}`)
    expect(registration?.body).toMatchObject({
      instance_id: 'host-1',
      provider: 'ssh',
      region: '',
      os: 'linux',
      tags: { team: 'core', zone: 'a' },
      agent_version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      timestamp: expect.stringMatching(/^\d{4}-.*Z$/),
    })
    expect(server.upgrades[0]?.url).toBe('/ws/agent')
    expect(server.upgrades[0]?.headers.authorization).toBe(`Bearer ${TOKEN}`)
  })

  test('declares itself before anything else', () => {
    expect(server.messages[0]).toMatchObject({
      type: 'hello',
      payload: {
        instance_id: 'host-1',
        labels: { team: 'core', zone: 'a' },
        capabilities: expect.arrayContaining(['exec', 'terminal', 'processes', 'inventory', 'logs']),
        host: { os: 'linux', cpu_count: expect.any(Number) },
        tasks: [],
      },
    })
  })

  test('keeps beating at the interval that the server asks for', async () => {
    const seen = server.all('heartbeat').length
    await until('three more heartbeats', () => server.all('heartbeat').length >= seen + 3)
    expect(server.all('heartbeat').at(-1)?.payload).toMatchObject({
      instance_id: 'host-1',
      uptime_seconds: expect.any(Number),
    })
  })

  test('measures the host in the shape of the base protocol', async () => {
    const { payload } = await server.next('metrics')
    expect(payload.cpu.core_count).toBe(payload.cpu.per_core?.length)
    expect(payload.cpu.usage_percent).toBeGreaterThanOrEqual(0)
    expect(payload.memory.used_bytes).toBeGreaterThan(0)
    expect(payload.memory.used_bytes).toBeLessThan(payload.memory.total_bytes)
    expect(payload.disk?.[0]?.total_bytes).toBeGreaterThan(0)
    expect(new Set(payload.disk?.map(({ mount_point }) => mount_point)).size).toBe(payload.disk?.length)
    expect(payload.network).toEqual({
      bytes_sent: expect.any(Number),
      bytes_recv: expect.any(Number),
      packets_sent: expect.any(Number),
      packets_recv: expect.any(Number),
    })
    expect(payload.process_count).toBeGreaterThan(1)
  })

  test('says nothing back to types that it does not know', async () => {
    server.sendRaw('{"protocol_version":"1.0","type":"from:the-future","payload":{}}')
    server.sendRaw('not json')
    server.exec({ task_id: 'after-nonsense', command: 'true' })
    expect((await server.result('after-nonsense')).exit_code).toBe(0)
  })
})

describe('commands', () => {
  test('streams both outputs apart and in order, and ends with the exit code', async () => {
    server.exec({
      task_id: 'two-streams',
      command: 'printf one; printf two >&2; sleep 0.1; printf three; exit 7',
      shell: true,
    })
    const result = await server.result('two-streams')
    expect(result).toMatchObject({ attempt: 1, exit_code: 7, timed_out: false, cancelled: false, truncated: false })
    expect(result).toMatchObject({ stdout_bytes: 8, stderr_bytes: 3 })
    expect(server.output('two-streams', 'stdout')).toBe('onethree')
    expect(server.output('two-streams', 'stderr')).toBe('two')
    const own = server.messages.filter(
      (message) => 'task_id' in message.payload && message.payload.task_id === 'two-streams',
    )
    expect(own[0]?.type).toBe('exec:started')
    expect(own.at(-1)?.type).toBe('exec:result')
    const seqs = server
      .all('exec:output')
      .filter(({ payload }) => payload.task_id === 'two-streams')
      .map(({ payload }) => payload.seq)
    expect(seqs).toEqual(seqs.map((_, index) => index + 1))
  })

  test('shows output while the command still runs', async () => {
    const gate = join(agent.dataDir, 'gate')
    server.exec({
      task_id: 'live',
      command: `echo early; while [ ! -e ${gate} ]; do sleep 0.05; done; echo late`,
      shell: true,
    })
    await until('the first line', () => server.output('live', 'stdout') === 'early\n')
    expect(server.all('exec:result').some(({ payload }) => payload.task_id === 'live')).toBe(false)
    writeFileSync(gate, '')
    await server.result('live')
    expect(server.output('live', 'stdout')).toBe('early\nlate\n')
  })

  test('passes arguments untouched, sets folder and environment, and hides its own credentials', async () => {
    const program = 'console.log(JSON.stringify([process.argv.slice(1), process.cwd(), process.env]))'
    const args = ['-e', program, 'a b', '$HOME', ';']
    server.exec({ task_id: 'exact', command: process.execPath, args, cwd: '/usr', env: { GREETING: 'hello world' } })
    expect((await server.result('exact')).exit_code).toBe(0)
    const [argv, cwd, env] = JSON.parse(server.output('exact', 'stdout')) as [string[], string, Record<string, string>]
    expect(argv).toEqual(['a b', '$HOME', ';'])
    expect(cwd).toBe('/usr')
    expect(env).toMatchObject({ GREETING: 'hello world', WHEELHOUSE_TASK_ID: 'exact', WHEELHOUSE_TASK_ATTEMPT: '1' })
    expect(JSON.stringify(env)).not.toContain(TOKEN)
  })

  test('runs a script through its interpreter and leaves no file of it', async () => {
    const script = 'import os, sys\nprint(__file__, sys.argv[1], oct(os.stat(__file__).st_mode & 0o777))\nsys.exit(3)\n'
    server.exec({ task_id: 'script', script, interpreter: 'python3 -B', args: ['x'], cwd: '/' })
    expect((await server.result('script')).exit_code).toBe(3)
    const [file = '', argument, mode] = server.output('script', 'stdout').trim().split(' ')
    expect([argument, mode]).toEqual(['x', '0o700'])
    expect(existsSync(dirname(file))).toBe(false)
  })

  test('takes a script larger than a base frame', async () => {
    const filler = `# ${'x'.repeat(120)}\n`.repeat(4_000)
    server.exec({ task_id: 'large-script', script: `${filler}echo done\n`, interpreter: '/bin/sh' })
    expect((await server.result('large-script')).exit_code).toBe(0)
    expect(server.output('large-script', 'stdout')).toBe('done\n')
  })

  test('tells what is wrong when a command cannot begin', async () => {
    server.exec({ task_id: 'missing', command: '/no/such/program' })
    expect(await server.result('missing')).toMatchObject({ exit_code: 127, error: { code: 'not_found' } })
    server.exec({ task_id: 'not-executable', command: '/etc/passwd' })
    expect(await server.result('not-executable')).toMatchObject({ exit_code: 126, error: { code: 'not_executable' } })
    server.exec({ task_id: 'no-folder', command: 'true', cwd: '/no/such/folder' })
    expect(await server.result('no-folder')).toMatchObject({ exit_code: null, error: { code: 'bad_cwd' } })
    server.exec({ task_id: 'nothing-to-run' })
    expect((await server.next('exec:refused', ({ task_id }) => task_id === 'nothing-to-run')).payload.code).toBe(
      'invalid',
    )
  })

  test('names the signal that ended a command', async () => {
    server.exec({ task_id: 'signalled', command: 'kill -USR1 $$', shell: true })
    expect(await server.result('signalled')).toMatchObject({ exit_code: null, signal: 'SIGUSR1', cancelled: false })
  })

  test('cuts output off at its limit, counts the rest, and lets the command end', async () => {
    server.exec({
      task_id: 'flood',
      command: 'head -c 3000000 /dev/zero; echo end >&2',
      shell: true,
      max_output_bytes: 100_000,
    })
    expect(await server.result('flood')).toMatchObject({
      exit_code: 0,
      truncated: true,
      stdout_bytes: 3_000_000,
      stderr_bytes: 4,
    })
    expect(server.output('flood', 'stdout').length + server.output('flood', 'stderr').length).toBe(100_000)
  })

  test('delivers megabytes whole, in frames below 64 KiB', async () => {
    server.exec({ task_id: 'bulk', command: 'seq 1 400000', shell: true, max_output_bytes: 10_000_000 })
    const result = await server.result('bulk')
    expect(result.truncated).toBe(false)
    expect(server.output('bulk', 'stdout')).toBe(
      Array.from({ length: 400_000 }, (_, index) => `${index + 1}\n`).join(''),
    )
    expect(Math.max(...server.frames.map((frame) => Buffer.byteLength(frame)))).toBeLessThan(64 * 1024)
  })

  test('ends with the command although a daemon that it left keeps the pipes open', async () => {
    server.exec({ task_id: 'daemon', command: 'setsid sleep 60 & echo $!', shell: true })
    expect((await server.result('daemon')).exit_code).toBe(0)
    const left = Number(server.output('daemon', 'stdout'))
    expect(isAlive(left)).toBe(true)
    process.kill(left)
  })

  // Each child escapes in its own way: a group of its own, a parent that ends, no marker in the environment.
  const family = [
    'sleep 300 & echo $!',
    'setsid sleep 300 & echo $!',
    '(setsid sh -c "echo \\$\\$; exec sleep 300" &)',
    'env -i setsid /bin/sh -c "echo \\$\\$; /bin/sleep 300; true" &',
  ]
  const deaf = 'sh -c "trap \'\' TERM; echo \\$\\$; while :; do sleep 0.2; done" &'
  const children = (taskId: string, count: number) =>
    until(`${count} children`, () => {
      const lines = server.output(taskId, 'stdout').trim().split('\n')
      return lines.length === count && lines.map(Number)
    })

  test('ends the whole tree at the time limit, escaped children too', async () => {
    server.exec({ task_id: 'slow', command: [...family, 'wait'].join('\n'), shell: true, timeout_ms: 1_000 })
    const pids = await children('slow', 4)
    expect(pids.every(isAlive)).toBe(true)
    expect(await server.result('slow')).toMatchObject({ timed_out: true, cancelled: false })
    expect(pids.filter(isAlive)).toEqual([])
  })

  test('ends the whole tree on cancellation, also who is deaf to SIGTERM', async () => {
    server.exec({ task_id: 'unwanted', command: [...family, deaf, 'wait'].join('\n'), shell: true })
    const pids = await children('unwanted', 5)
    server.send({ type: 'exec:cancel', payload: { task_id: 'unwanted', attempt: 1 } })
    expect(await server.result('unwanted')).toMatchObject({ cancelled: true, timed_out: false })
    expect(pids.filter(isAlive)).toEqual([])
  })

  test('a cancellation of nothing says so', async () => {
    server.send({ type: 'exec:cancel', payload: { task_id: 'never-was' } })
    expect((await server.next('exec:refused', ({ task_id }) => task_id === 'never-was')).payload.code).toBe(
      'unknown_task',
    )
  })

  test('refuses more than its limit, and takes the task later', async () => {
    for (const index of [1, 2, 3, 4]) server.exec({ task_id: `filler-${index}`, command: 'sleep', args: ['300'] })
    await server.next('exec:started', ({ task_id }) => task_id === 'filler-4')
    server.exec({ task_id: 'fifth', command: 'echo', args: ['ran'] })
    const { payload } = await server.next('exec:refused', ({ task_id }) => task_id === 'fifth')
    expect(payload).toMatchObject({ code: 'busy', message: expect.stringContaining('4') })
    for (const index of [1, 2, 3, 4]) server.send({ type: 'exec:cancel', payload: { task_id: `filler-${index}` } })
    await server.result('filler-4')
    await Promise.all([1, 2, 3].map((index) => server.result(`filler-${index}`)))
    server.exec({ task_id: 'fifth', command: 'echo', args: ['ran'] })
    expect((await server.result('fifth')).exit_code).toBe(0)
  })

  test('never runs an attempt twice: a repetition replays output and result from where it is asked', async () => {
    const proof = join(agent.dataDir, 'proof')
    const start = { task_id: 'once', command: `echo ran >> ${proof}; echo first; sleep 0.3; echo second`, shell: true }
    server.exec(start)
    server.exec(start)
    await server.result('once')
    const before = server.messages.length
    server.exec({ ...start, after_seq: 1 })
    await until('a second result', () => server.messages.slice(before).some(({ type }) => type === 'exec:result'))
    const replayed = server.messages.slice(before).filter((message) => message.type === 'exec:output')
    expect(replayed.map(({ payload }) => Buffer.from(payload.data, 'base64').toString())).toEqual(['second\n'])
    expect(readFileSync(proof, 'utf8')).toBe('ran\n')
  })

  test('a higher attempt ends the older one first; a lower one is refused', async () => {
    server.exec({ task_id: 'again', command: 'sleep', args: ['300'] })
    const { payload } = await server.next('exec:started', ({ task_id }) => task_id === 'again')
    server.exec({ task_id: 'again', attempt: 2, command: 'echo two', shell: true })
    const result = await server.result('again')
    expect(result).toMatchObject({ attempt: 2, exit_code: 0 })
    expect(isAlive(payload.pid)).toBe(false)
    server.exec({ task_id: 'again', attempt: 1, command: 'echo one', shell: true })
    expect((await server.next('exec:refused', ({ task_id }) => task_id === 'again')).payload.code).toBe('stale_attempt')
  })

  test('forgets output and result once they are acknowledged, but not that the attempt ran', async () => {
    server.exec({ task_id: 'kept', command: 'echo precious', shell: true })
    await server.result('kept')
    const files = () => readdirSync(join(agent.dataDir, 'tasks'), { recursive: true }).map(String)
    const before = files().filter((file) => file.endsWith('result.json')).length
    server.send({ type: 'exec:ack', payload: { task_id: 'kept', attempt: 1 } })
    await until('the result to go', () => files().filter((file) => file.endsWith('result.json')).length === before - 1)
    server.exec({ task_id: 'kept', command: 'echo precious', shell: true })
    expect((await server.next('exec:refused', ({ task_id }) => task_id === 'kept')).payload.code).toBe(
      'already_finished',
    )
  })

  test('runs commands of the base protocol, each id once', async () => {
    const payload = {
      command_id: 'base-1',
      command: 'printf "$WHO" | tee -a base-proof; printf oops >&2; exit 2',
      env: ['WHO=me=you'],
    }
    server.send({ type: 'command:dispatch', payload })
    const first = await server.next('command:result')
    expect(first.payload).toMatchObject({ command_id: 'base-1', stdout: 'me=you', stderr: 'oops', exit_code: 2 })
    server.send({ type: 'command:dispatch', payload })
    await until('the same result again', () => server.all('command:result').length === 2)
    expect(readFileSync(join(agent.dataDir, 'base-proof'), 'utf8')).toBe('me=you')
    server.send({ type: 'command:dispatch', payload: { command_id: 'base-2', command: 'echo', args: ['$HOME  x'] } })
    const direct = await server.next('command:result', ({ command_id }) => command_id === 'base-2')
    expect(direct.payload.stdout).toBe('$HOME  x\n')
    server.send({ type: 'command:dispatch', payload: { command_id: 'base-3', command: 'sleep 300', timeout_ms: 200 } })
    const late = await server.next('command:result', ({ command_id }) => command_id === 'base-3')
    expect(late.payload).toMatchObject({ exit_code: -1, stderr: expect.stringContaining('timed out') })
  })
})

describe('terminals', () => {
  const screen = (id: string) => {
    const frames = server.all('terminal:output').filter((message) => message.session_id === id)
    return Buffer.concat(frames.map(({ payload }) => Buffer.from(payload.data, 'base64'))).toString('utf8')
  }
  const type = (id: string, text: string) =>
    server.send({ type: 'terminal:input', payload: { session_id: id, data: Buffer.from(text).toString('base64') } })

  test('a shell that echoes, resizes and closes by the envelope alone', async () => {
    server.send({ type: 'terminal:create', payload: { session_id: 't1', cols: 0, rows: 0, shell: '/bin/sh' } })
    expect((await server.next('terminal:created')).payload.pid).toBeGreaterThan(1)
    type('t1', 'echo "term=$TERM size=$(stty size) grüße" | tr a-z A-Z\n')
    await until('the answer', () => screen('t1').includes('TERM=XTERM-256COLOR SIZE=24 80'))
    expect(screen('t1')).toContain('grüße')
    server.send({ type: 'terminal:resize', payload: { session_id: 't1', cols: 132, rows: 50 } })
    type('t1', 'echo "now $(stty size)"\n')
    await until('the new size', () => screen('t1').includes('now 50 132'))
    server.send({ type: 'terminal:close', session_id: 't1', payload: {} })
    expect((await server.next('terminal:closed')).payload.session_id).toBe('t1')
  })

  test('tells the exit code of the shell', async () => {
    server.send({ type: 'terminal:create', session_id: 't2', payload: { cols: 80, rows: 24, shell: '/bin/sh' } })
    type('t2', 'exit 5\n')
    const { payload } = await server.next('terminal:closed', ({ session_id }) => session_id === 't2')
    expect(payload.exit_code).toBe(5)
  })

  test('a terminal that cannot be opened is an error', async () => {
    server.send({ type: 'terminal:create', session_id: 't3', payload: { cols: 80, rows: 24, cwd: '/no/such/folder' } })
    expect((await server.next('terminal:error')).payload.message).toContain('/no/such/folder')
  })
})

describe('what runs, what is installed, what is written', () => {
  test('lists the real processes, heaviest first', async () => {
    server.exec({ task_id: 'spin', command: 'while :; do :; done', shell: true })
    const { payload: started } = await server.next('exec:started', ({ task_id }) => task_id === 'spin')
    server.send({ type: 'processes:list', payload: { request_id: 'p1', limit: 50 } })
    const { payload } = await server.next('processes:listed')
    server.send({ type: 'exec:cancel', payload: { task_id: 'spin' } })
    expect(payload).toMatchObject({ request_id: 'p1', last: true })
    const spinning = payload.processes.find(({ pid }) => pid === started.pid)
    expect(spinning).toMatchObject({
      user: expect.stringMatching(/./),
      status: 'running',
      memory_bytes: expect.any(Number),
    })
    expect(spinning?.cpu_percent).toBeGreaterThan(5)
    expect(spinning?.command).toContain('while :')
    const loads = payload.processes.map(({ cpu_percent }) => cpu_percent)
    expect(loads).toEqual(loads.toSorted((a, b) => b - a))
    await server.result('spin')
  })

  test('lists installed packages in parts', async () => {
    server.send({ type: 'inventory:list', payload: { request_id: 'i1' } })
    await server.next('inventory:listed', ({ last }) => last)
    const packages = server.all('inventory:listed').flatMap(({ payload }) => payload.packages)
    if (existsSync('/var/lib/dpkg/status')) {
      expect(packages).toContainEqual(
        expect.objectContaining({ type: 'deb', name: 'dpkg', version: expect.stringMatching(/^\d/) }),
      )
    }
    expect(packages.every(({ name }) => name !== '')).toBe(true)
  })

  test('follows a file through appending, renaming and truncation, and loses no line', async () => {
    const folder = join(agent.dataDir, 'logs')
    const file = join(folder, 'app.log')
    mkdirSync(folder)
    writeFileSync(file, 'old 1\nold 2\n2026-01-02T03:04:05Z ERROR disk is full\n')
    const lines = () =>
      server
        .all('log:batch')
        .filter(({ payload }) => payload.path === file)
        .flatMap(({ payload }) => payload.lines)
    const messages = () => lines().map(({ message }) => message)
    server.send({ type: 'logs:tail', payload: { paths: [file], tail_lines: 1 } })
    await until('the backlog', () => lines().length === 1)
    expect(lines()[0]).toMatchObject({
      level: 'error',
      ts: '2026-01-02T03:04:05.000Z',
      message: expect.stringContaining('disk is full'),
    })
    appendFileSync(file, 'new 1\nhalf ')
    await until('the appended line', () => messages().at(-1) === 'new 1')
    appendFileSync(file, 'and half\n')
    await until('the completed line', () => messages().at(-1) === 'half and half')
    appendFileSync(file, 'last words\n')
    renameSync(file, `${file}.1`)
    writeFileSync(file, 'after rotation\n')
    await until('the new file', () => messages().at(-1) === 'after rotation')
    expect(messages()).toContain('last words')
    truncateSync(file)
    await until('the truncation to be seen', () => {
      appendFileSync(file, 'x\n')
      return messages().includes('x')
    })
    server.send({ type: 'logs:untail', payload: { paths: [file] } })
  })

  test('names the log files that can be followed', async () => {
    server.send({ type: 'logs:files', payload: { request_id: 'l1' } })
    const { payload } = await server.next('logs:listed', ({ last }) => last)
    expect(payload.files.every(({ path, size_bytes }) => path.startsWith('/') && size_bytes >= 0)).toBe(true)
  })
})

test('the token stands nowhere in its log', () => {
  expect(agent.log).toContain('agent starts')
  expect(agent.log).not.toContain(TOKEN)
})
