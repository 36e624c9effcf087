import { type ChildProcess, spawn } from 'node:child_process'
import { appendFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { testClock } from '../clock/index.ts'
import { sql } from '../db/index.ts'
import {
  type Agent,
  agentByExternalId,
  createJoinToken,
  Detached,
  enrolAgent,
  type ExecRequest,
  findAgent,
  redeemJoinToken,
  revokeAgent,
} from './index.ts'
import { BasePeer, type Ground, openDetour, openGround, RealAgent, TestHub, until } from './hub-harness.ts'

let ground: Ground

beforeAll(async () => {
  ground = await openGround()
})
afterAll(() => ground.close())

const named = (name: string) => ground.db.tenant(ground.tenantId, (tx) => agentByExternalId(tx, name))
const connected = (hub: TestHub, name: string): Promise<Agent> =>
  until(`agent ${name}; it says ${name}`, async () => {
    const agent = await named(name)
    return agent && (await hub.agents.isConnected(agent.id)) && agent
  })
const enrol = (name: string, labels?: Record<string, string>) =>
  ground.db.tenant(ground.tenantId, (tx) => enrolAgent(tx, Date.now(), { name, ...(labels && { labels }) }))

class Output {
  stdout = ''
  stderr = ''
  seqs: number[] = []
  readonly onOutput = (stream: 'stdout' | 'stderr', data: Buffer, seq: number) => {
    this[stream] += data.toString('utf8')
    this.seqs.push(seq)
  }
}

const request = (agent: Agent, taskId: string, command: string): ExecRequest => ({
  tenantId: ground.tenantId,
  agentId: agent.id,
  taskId,
  attempt: 1,
  command,
  shell: true,
  timeoutMs: 20_000,
})

describe('a real agent on one hub', () => {
  let hub: TestHub
  let agent: RealAgent
  let row: Agent

  beforeAll(async () => {
    hub = await TestHub.open(ground)
    const { token } = await enrol('real', { tier: 'test' })
    agent = new RealAgent()
    writeFileSync(join(agent.dir, 'app.log'), '')
    agent.start(hub.port, token, {
      WHEELHOUSE_AGENT_ID: 'real',
      WHEELHOUSE_AGENT_LABELS: 'tier=claimed,zone=a,wheelhouse.control-plane=true',
    })
    row = await connected(hub, 'real')
  })
  afterAll(async () => {
    await agent.remove()
    await hub.kill()
  })

  test('it is bound to the row of its token, with its facts and with labels that it cannot overrule', () => {
    expect(row).toMatchObject({ name: 'real', enrolled: true, liveness: 'online', labels: { tier: 'test', zone: 'a' } })
    expect(row.labels).not.toHaveProperty('wheelhouse.control-plane')
    expect(row.capabilities).toContain('exec')
    expect(row.host).toMatchObject({ os: 'linux', hostname: expect.any(String) })
    expect(hub.heard.connected).toContain('real')
    expect(hub.heard.liveness).toContain('real lost online')
  })

  test('commands stream both outputs and answer with the exit code', async () => {
    const output = new Output()
    let pid = 0
    const result = await hub.agents.exec({
      ...request(row, 'plain', 'echo out; echo err >&2; exit 3'),
      onOutput: output.onOutput,
      onStarted: (started) => (pid = started),
    })
    expect(result).toMatchObject({
      exitCode: 3,
      timedOut: false,
      cancelled: false,
      merged: false,
      stdoutBytes: 4,
      stderrBytes: 4,
    })
    expect(output).toMatchObject({ stdout: 'out\n', stderr: 'err\n' })
    expect(pid).toBeGreaterThan(1)
  })

  test('arguments, folder, environment and scripts reach the process untouched', async () => {
    const output = new Output()
    await hub.agents.exec({
      ...request(row, 'args', 'printf'),
      shell: false,
      args: ['%s|%s', 'a b', '$x'],
      onOutput: output.onOutput,
    })
    expect(output.stdout).toBe('a b|$x')
    const second = new Output()
    const script = 'echo "$PWD $GREETING $1"'
    await hub.agents.exec({
      ...request(row, 'script', ''),
      command: undefined,
      script,
      args: ['one'],
      cwd: '/usr',
      env: { GREETING: 'hi' },
      onOutput: second.onOutput,
    })
    expect(second.stdout).toBe('/usr hi one\n')
  })

  test('a time limit ends it, and says so', async () => {
    expect(await hub.agents.exec({ ...request(row, 'slow', 'sleep 60'), timeoutMs: 300 })).toMatchObject({
      timedOut: true,
      exitCode: null,
    })
  })

  test('an abort ends it, and the answer is the true end', async () => {
    const control = new AbortController()
    const running = hub.agents.exec({
      ...request(row, 'cancelled', 'sleep 60'),
      signal: control.signal,
      onStarted: () => control.abort(new Error('not wanted')),
    })
    expect(await running).toMatchObject({ cancelled: true, exitCode: null })
  })

  test('a detached command goes on, is taken up again where its output was left, and runs once', async () => {
    const control = new AbortController()
    const first = new Output()
    const gate = join(agent.dir, 'gate')
    const wanted = request(
      row,
      'handed-over',
      `echo one; echo ran >> proof; while [ ! -e ${gate} ]; do sleep 0.05; done; echo two`,
    )
    const running = hub.agents.exec({
      ...wanted,
      signal: control.signal,
      onOutput: (...each) => {
        first.onOutput(...each)
        control.abort(new Detached())
      },
    })
    await expect(running).rejects.toBeInstanceOf(Detached)
    const second = new Output()
    const again = hub.agents.exec({
      ...wanted,
      afterSeq: 1,
      onOutput: second.onOutput,
      onStarted: () => writeFileSync(gate, ''),
    })
    expect(await again).toMatchObject({ exitCode: 0 })
    expect([first.stdout, second.stdout]).toEqual(['one\n', 'two\n'])
    const proof = new Output()
    await hub.agents.exec({ ...request(row, 'read-proof', 'cat proof'), onOutput: proof.onOutput })
    expect(proof.stdout).toBe('ran\n')
  })

  test('a settled task is forgotten by the agent and not run again', async () => {
    await hub.agents.exec(request(row, 'settled', 'true'))
    hub.agents.settled(row.id, 'settled', 1)
    await expect(hub.agents.exec(request(row, 'settled', 'true'))).rejects.toMatchObject({ code: 'RES_CONFLICT' })
  })

  test('an agent of another tenant does not exist', async () => {
    const other = { ...request(row, 'foreign', 'true'), tenantId: '00000000-0000-7000-8000-000000000001' }
    await expect(hub.agents.exec(other)).rejects.toMatchObject({ code: 'RES_NOT_FOUND' })
  })

  test('an inactive agent takes no work', async () => {
    const set = (state: string) =>
      ground.db.tenant(ground.tenantId, (tx) => tx.run(sql`update agents set state = ${state} where id = ${row.id}`))
    await set('inactive')
    await expect(hub.agents.exec(request(row, 'idle', 'true'))).rejects.toMatchObject({ code: 'AGENT_OFFLINE' })
    await set('active')
  })

  test('processes, packages and log files are the host’s own', async () => {
    const { processes, total } = await hub.agents.processes(ground.tenantId, row.id, { limit: 5 })
    expect(processes).toHaveLength(5)
    expect(total).toBeGreaterThan(5)
    const packages = await hub.agents.inventory(ground.tenantId, row.id)
    expect(packages.length).toBeGreaterThan(0)
    const files = await hub.agents.logFiles(ground.tenantId, row.id)
    expect(files.map(({ path }) => path)).toContain(join(agent.dir, 'app.log'))
  })

  test('metrics and log lines reach the sinks without being asked for', async () => {
    const metrics = await until('metrics', () => hub.heard.metrics.at(-1))
    expect(metrics.memory.total_bytes).toBeGreaterThan(0)
    await until('a line', () => {
      appendFileSync(join(agent.dir, 'app.log'), 'a line of the log\n')
      return hub.heard.lines.includes('a line of the log')
    })
  })

  test('heartbeats stand in the database', async () => {
    const presence = await until('resources', () =>
      ground.db.tenant(ground.tenantId, (tx) =>
        tx.maybe<{ resources: { cpuPercent?: number } }>(
          sql`select resources from agent_presence where agent_id = ${row.id} and resources ? 'cpuPercent'`,
        ),
      ),
    )
    expect(presence.resources.cpuPercent).toBeGreaterThanOrEqual(0)
  })

  test('a terminal echoes, is left and found again with what it wrote, and ends', async () => {
    let screen = ''
    let ended: { exitCode: number } | undefined
    const watcher = {
      output: (data: Buffer) => void (screen += data.toString()),
      closed: (end: { exitCode: number }) => void (ended = end),
    }
    const first = await hub.agents.terminals.open({ agentId: row.id, cols: 80, rows: 24, shell: '/bin/sh' }, watcher)
    first.input(Buffer.from('echo "one"; stty size\n'))
    await until('the size', () => screen.includes('24 80'))
    first.resize(100, 30)
    first.detach()
    const before = screen
    screen = ''
    const second = await hub.agents.terminals.attach(row.id, first.sessionId, watcher)
    expect(second.replay.toString()).toBe(before)
    second.input(Buffer.from('stty size; exit 4\n'))
    await until('the new size', () => screen.includes('30 100'))
    expect(await until('the end', () => ended)).toMatchObject({ exitCode: 4 })
    await expect(hub.agents.terminals.attach(row.id, first.sessionId, watcher)).rejects.toMatchObject({
      code: 'RES_NOT_FOUND',
    })
  })

  test('a terminal that cannot be opened is refused with the reason', async () => {
    const opening = hub.agents.terminals.open(
      { agentId: row.id, cols: 80, rows: 24, cwd: '/no/such' },
      { output: () => {}, closed: () => {} },
    )
    await expect(opening).rejects.toMatchObject({
      code: 'SYS_UNAVAILABLE',
      message: expect.stringContaining('/no/such'),
    })
  })
})

describe('when something goes away', () => {
  const open: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const close of open.splice(0).toReversed()) await close()
  })
  const hubOn = async (options: Parameters<typeof TestHub.open>[1] = {}) => {
    const hub = await TestHub.open(ground, options)
    open.push(() => hub.kill())
    return hub
  }
  const agentOn = async (hub: TestHub, name: string, env: Record<string, string> = {}) => {
    const { token } = await enrol(name)
    const agent = new RealAgent().start(hub.port, token, { WHEELHOUSE_AGENT_ID: name, ...env })
    open.push(() => agent.remove())
    return { agent, token, row: await connected(hub, name) }
  }

  test('a command survives the restart of the server that asked for it', async () => {
    const hub = await TestHub.open(ground)
    const { agent, row } = await agentOn(hub, 'survivor')
    const first = new Output()
    const gate = join(agent.dir, 'gate')
    const wanted = request(row, 'survives', `echo one; while [ ! -e ${gate} ]; do sleep 0.05; done; echo two; exit 6`)
    const control = new AbortController()
    const cut = hub.agents.exec({ ...wanted, signal: control.signal, onOutput: first.onOutput })
    await until('output', () => first.stdout !== '')
    control.abort(new Detached())
    await expect(cut).rejects.toBeInstanceOf(Detached)
    await hub.kill()
    writeFileSync(gate, '')
    const next = await hubOn({ port: hub.port })
    await connected(next, 'survivor')
    const second = new Output()
    expect(
      await next.agents.exec({ ...wanted, afterSeq: first.seqs.at(-1) ?? 0, onOutput: second.onOutput }),
    ).toMatchObject({ exitCode: 6 })
    expect(second.stdout).toBe('two\n')
  })

  test('a command in flight survives an interruption of the connection without gap or repetition', async () => {
    const hub = await hubOn()
    const { row } = await agentOn(hub, 'flaky')
    const output = new Output()
    const running = hub.agents.exec({
      ...request(row, 'counted', 'for i in 1 2 3 4 5 6 7 8 9; do echo $i; sleep 0.15; done'),
      onOutput: output.onOutput,
    })
    await until('some output', () => output.stdout.includes('2'))
    hub.agents.disconnect(row.id)
    expect(await running).toMatchObject({ exitCode: 0 })
    expect(output.stdout).toBe('1\n2\n3\n4\n5\n6\n7\n8\n9\n')
    expect(output.seqs).toEqual(output.seqs.map((_, index) => index + 1))
  })

  test('the agent’s kill -9 is told as lost', async () => {
    const hub = await hubOn()
    const { agent, token, row } = await agentOn(hub, 'mortal')
    const running = hub.agents.exec({
      ...request(row, 'victim', 'sleep 60'),
      onStarted: () => void agent.kill().then(() => agent.start(hub.port, token, { WHEELHOUSE_AGENT_ID: 'mortal' })),
    })
    expect(await running).toMatchObject({ exitCode: null, error: { code: 'lost' } })
  })

  test('without an agent there is an answer at once', async () => {
    const hub = await hubOn()
    const { agentId } = await enrol('absent')
    const row = await ground.db.tenant(ground.tenantId, (tx) => findAgent(tx, agentId))
    await expect(hub.agents.exec({ ...request(row!, 'nobody', 'true') })).rejects.toMatchObject({
      code: 'AGENT_OFFLINE',
    })
  })

  test('whoever takes an attempt over waits for the agent, which may have run it', async () => {
    const hub = await hubOn()
    const { agent, token, row } = await agentOn(hub, 'late')
    await hub.agents.exec(request(row, 'inherited', 'echo once'))
    await agent.kill()
    await until('the hub misses the agent', async () => !(await hub.agents.isConnected(row.id)))
    const output = new Output()
    const running = hub.agents.exec({
      ...request(row, 'inherited', 'echo twice'),
      takenOver: true,
      onOutput: output.onOutput,
    })
    agent.start(hub.port, token, { WHEELHOUSE_AGENT_ID: 'late' })
    expect(await running).toMatchObject({ exitCode: 0 })
    expect(output.stdout).toBe('once\n')
  })

  test('an agent that stays away makes its command fail in the end', async () => {
    const hub = await hubOn({ execTiming: { awayMs: 300 } })
    const { agent, row } = await agentOn(hub, 'gone')
    const running = hub.agents.exec({
      ...request(row, 'never', 'sleep 3'),
      timeoutMs: 500,
      onStarted: () => void agent.kill(),
    })
    await expect(running).rejects.toMatchObject({ code: 'AGENT_OFFLINE', details: { started: true } })
  })

  test('a full agent is asked again until it has room, then refused', async () => {
    const hub = await hubOn({ execTiming: { busyMs: 1_200 } })
    const { row } = await agentOn(hub, 'narrow', { WHEELHOUSE_AGENT_MAX_TASKS: '1' })
    const control = new AbortController()
    const started = Promise.withResolvers<void>()
    const filler = hub.agents.exec({
      ...request(row, 'filler', 'sleep 60'),
      signal: control.signal,
      onStarted: () => started.resolve(),
    })
    await started.promise
    await expect(hub.agents.exec(request(row, 'refused', 'true'))).rejects.toMatchObject({
      code: 'SYS_UNAVAILABLE',
      details: { reason: 'busy' },
    })
    const patient = hub.agents.exec(request(row, 'patient', 'true'))
    control.abort(new Error('make room'))
    expect(await filler).toMatchObject({ cancelled: true })
    expect(await patient).toMatchObject({ exitCode: 0 })
  })

  test('what an agent holds of ended tasks is acknowledged and stopped when it connects', async () => {
    const hub = await TestHub.open(ground)
    const { agent, row } = await agentOn(hub, 'tidy')
    let pid = 0
    const control = new AbortController()
    await hub.agents.exec(request(row, 'finished', 'true'))
    const running = hub.agents.exec({
      ...request(row, 'endless', 'sleep 60'),
      signal: control.signal,
      onStarted(started) {
        pid = started
        control.abort(new Detached())
      },
    })
    await expect(running).rejects.toBeInstanceOf(Detached)
    await hub.kill()
    const next = await TestHub.open(ground, { port: hub.port })
    next.heard.taskStates = new Map([
      ['finished', 'ended'],
      ['endless', 'ended'],
    ])
    open.push(() => next.kill())
    await connected(next, 'tidy')
    const acknowledged = () =>
      readdirSync(join(agent.dir, 'tasks'), { recursive: true }).filter((file) =>
        String(file).endsWith('/acknowledged'),
      )
    await until('both to be acknowledged', () => acknowledged().length === 2)
    expect(alive(pid)).toBe(false)
  })

  test('two replicas: commands, output and terminals reach the agent from the one without its socket', async () => {
    const holder = await hubOn()
    const other = await hubOn()
    const { row } = await agentOn(holder, 'remote')
    expect(await other.agents.isConnected(row.id)).toBe(true)
    const output = new Output()
    const result = await other.agents.exec({
      ...request(row, 'from-afar', 'seq 1 30000; echo end >&2'),
      onOutput: output.onOutput,
      maxOutputBytes: 1_000_000,
    })
    expect(result).toMatchObject({ exitCode: 0, truncated: false })
    expect(output.stdout).toBe(Array.from({ length: 30_000 }, (_, index) => `${index + 1}\n`).join(''))
    expect(output.stderr).toBe('end\n')
    expect((await other.agents.inventory(ground.tenantId, row.id)).length).toBeGreaterThan(0)

    let screen = ''
    const watcher = { output: (data: Buffer) => void (screen += data.toString()), closed: () => {} }
    const terminal = await other.agents.terminals.open(
      { agentId: row.id, cols: 80, rows: 24, shell: '/bin/sh' },
      watcher,
    )
    terminal.input(Buffer.from('echo from "a"far\n'))
    await until('the echo', () => screen.includes('from afar'))
    const near = await holder.agents.terminals.attach(row.id, terminal.sessionId, {
      output: () => {},
      closed: () => {},
    })
    expect(near.replay.toString()).toContain('from afar')
    terminal.close()
  })

  test('an agent that moves to another replica keeps its running command', async () => {
    const [first, second] = [await hubOn(), await hubOn()]
    const way = await openDetour(first.port)
    open.push(() => way.close())
    const { token } = await enrol('mover')
    const agent = new RealAgent().start(way.port, token, { WHEELHOUSE_AGENT_ID: 'mover' })
    open.push(() => agent.remove())
    const row = await connected(first, 'mover')
    const output = new Output()
    const counting = 'for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.2; done'
    const running = first.agents.exec({ ...request(row, 'moving', counting), onOutput: output.onOutput })
    let screen = ''
    const watcher = { output: (data: Buffer) => void (screen += data.toString()), closed: () => {} }
    const terminal = await first.agents.terminals.open(
      { agentId: row.id, cols: 80, rows: 24, shell: '/bin/sh' },
      watcher,
    )
    await until('output', () => output.stdout.includes('2'))
    way.lead(second.port)
    expect(await running).toMatchObject({ exitCode: 0 })
    expect(second.heard.connected).toContain('mover')
    expect(output.stdout).toBe('1\n2\n3\n4\n5\n6\n7\n8\n')
    await until('an answer of the terminal', () => {
      terminal.input(Buffer.from('echo still "he"re\n'))
      return screen.includes('still here')
    })
    terminal.close()
  })

  test('a terminal that nobody looks at is closed after its time', async () => {
    const hub = await hubOn({ detachedMs: 200 })
    const { row } = await agentOn(hub, 'lonely')
    let screen = ''
    const watcher = { output: (data: Buffer) => void (screen += data.toString()), closed: () => {} }
    const terminal = await hub.agents.terminals.open({ agentId: row.id, cols: 80, rows: 24, shell: '/bin/sh' }, watcher)
    terminal.input(Buffer.from('echo "pid=$$"\n'))
    const pid = await until('the pid', () => Number(/pid=(\d+)/.exec(screen)?.[1]) || undefined)
    expect(alive(pid)).toBe(true)
    terminal.detach()
    await until('the end of the shell', () => !alive(pid))
    await expect(hub.agents.terminals.attach(row.id, terminal.sessionId, watcher)).rejects.toMatchObject({
      code: 'RES_NOT_FOUND',
    })
  })
})

describe('agents of the base protocol', () => {
  let hub: TestHub
  beforeAll(async () => {
    hub = await TestHub.open(ground)
  })
  afterAll(() => hub.kill())

  test('the first heartbeat names the agent; what came before it waits', async () => {
    const peer = await new BasePeer(hub.port, ground.sharedKey).open()
    const record = { provider: 'p', model: 'early', inputTokens: 1, outputTokens: 1, costUsd: 0, ts: 1 }
    peer.say({ type: 'llm_usage:batch', payload: { records: [record] } })
    peer.heartbeat('base-1')
    const row = await connected(hub, 'base-1')
    expect(row).toMatchObject({ name: 'base-1', enrolled: false, capabilities: ['terminal', 'metrics'] })
    await until('what was held', () => hub.heard.usage.includes('early'))
    await until('the pong', () =>
      peer.messages.some(({ type, payload }) => type === 'heartbeat:pong' && payload['ok'] === true),
    )
    expect(peer.messages).toContainEqual(expect.objectContaining({ type: 'log:subscribe', payload: { paths: ['*'] } }))
    expect(peer.messages.some(({ type }) => type === 'hello:ok')).toBe(false)
    peer.socket.close()
  })

  test('a second socket of the same agent replaces the first with 1001', async () => {
    const first = await new BasePeer(hub.port, ground.sharedKey).open()
    first.heartbeat('base-2')
    await connected(hub, 'base-2')
    const second = await new BasePeer(hub.port, ground.sharedKey).open()
    second.heartbeat('base-2')
    expect(await until('the end of the first', () => first.closed)).toEqual({
      code: 1001,
      reason: 'replaced by a new connection',
    })
    second.socket.close()
  })

  test('nobody takes the place of an agent that has a token of its own', async () => {
    await enrol('guarded')
    const thief = await new BasePeer(hub.port, ground.sharedKey).open()
    thief.heartbeat('guarded')
    expect(await until('the refusal', () => thief.closed)).toMatchObject({ code: 1008 })
  })

  test('the native dialect is understood, with the instance from the header', async () => {
    const peer = await new BasePeer(hub.port, ground.sharedKey, { 'x-instance-id': 'native-1' }).open()
    const send = (channel: string, type: string, data: object) =>
      peer.socket.send(JSON.stringify({ protocolVersion: '1.0', channel, type, ts: 1_700_000_000_000, data }))
    send('heartbeat', 'heartbeat:ping', { uptime: 5, cpuPercent: 3, memoryUsed: 1, memoryTotal: 2 })
    await connected(hub, 'native-1')
    send('metrics', 'metrics:update', {
      cpuPercent: 42,
      memoryUsed: 5,
      memoryTotal: 10,
      loadAvg: [1, 2, 3],
      networkBytesIn: 7,
      diskUsed: 1,
      diskTotal: 4,
    })
    const metrics = await until('metrics', () => hub.heard.metrics.find(({ cpu }) => cpu.usage_percent === 42))
    expect(metrics).toMatchObject({
      memory: { usage_percent: 50 },
      network: { bytes_recv: 7 },
      cpu: { load_avg_15: 3 },
      disk: [{ usage_percent: 25 }],
    })
    send('events', 'event:instance', { eventType: 'extension:install', metadata: { n: 1 } })
    await until('the event', () => hub.heard.events.includes('extension:install'))
    send('logs', 'log:line', { level: 'warn', line: 'native line', source: 'app:x' })
    await until('the line', () => hub.heard.lines.includes('native line'))
    peer.socket.close()
  })

  test('commands run through command:dispatch where the agent answers it', async () => {
    const peer = await new BasePeer(hub.port, ground.sharedKey).open()
    peer.socket.on('message', (data) => {
      const { type, payload } = JSON.parse(String(data)) as {
        type: string
        payload: { command_id: string; args?: string[] }
      }
      if (type !== 'command:dispatch') return
      const stdout = payload.args?.[1]?.includes('answer') ? 'the answer' : ''
      peer.say({
        type: 'command:result',
        payload: { command_id: payload.command_id, stdout, stderr: 'e', exit_code: 9, duration_ms: 1 },
      })
    })
    peer.heartbeat('dispatching')
    const row = await connected(hub, 'dispatching')
    const output = new Output()
    expect(await hub.agents.exec({ ...request(row, 'd', 'echo answer'), onOutput: output.onOutput })).toMatchObject({
      exitCode: 9,
      merged: false,
    })
    expect(output).toMatchObject({ stdout: 'the answer', stderr: 'e' })
    peer.socket.close()
  })

  test('others get their commands typed: a real shell on a real terminal, exit code and all', async () => {
    const peer = await new BasePeer(hub.port, ground.sharedKey).open()
    // util-linux's `script` gives the shell a terminal of its own.
    const shells = new Map<string, ChildProcess>()
    peer.socket.on('message', (data) => {
      const {
        type,
        session_id = '',
        payload,
      } = JSON.parse(String(data)) as { type: string; session_id?: string; payload: Record<string, string> }
      if (type === 'terminal:create') {
        const shell = spawn('script', [
          '--quiet',
          '--flush',
          '--return',
          '--command',
          payload['shell'] ?? '/bin/sh',
          '/dev/null',
        ])
        shells.set(session_id, shell)
        shell.stdout.on('data', (bytes: Buffer) =>
          peer.say({ type: 'terminal:output', session_id, payload: { session_id, data: bytes.toString('base64') } }),
        )
        shell.on('exit', (code) =>
          peer.say({ type: 'terminal:closed', session_id, payload: { session_id, exit_code: code ?? -1 } }),
        )
      } else if (type === 'terminal:input')
        shells.get(session_id)?.stdin?.write(Buffer.from(payload['data'] ?? '', 'base64'))
      else if (type === 'terminal:close') shells.get(session_id)?.kill()
    })
    peer.heartbeat('typed')
    const row = await connected(hub, 'typed')
    const output = new Output()
    const wanted = {
      ...request(row, 't1', `echo "it's $GREETING"; pwd; echo err >&2; printf '\\033[31mred\\033[0m\\n'; exit 5`),
      cwd: '/usr',
      env: { GREETING: 'fine; really' },
    }
    expect(await hub.agents.exec({ ...wanted, onOutput: output.onOutput })).toMatchObject({ exitCode: 5, merged: true })
    expect(output.stdout).toBe("it's fine; really\n/usr\nerr\nred\n")

    const script = new Output()
    const long = `${'# filler line of the script\n'.repeat(2_000)}for i in $(seq 1 3000); do echo "$1 $i"; done\n`
    expect(
      await hub.agents.exec({
        ...request(row, 't2', ''),
        command: undefined,
        script: long,
        args: ['line'],
        onOutput: script.onOutput,
      }),
    ).toMatchObject({ exitCode: 0 })
    expect(script.stdout).toBe(Array.from({ length: 3_000 }, (_, index) => `line ${index + 1}\n`).join(''))

    expect(await hub.agents.exec({ ...request(row, 't3', 'sleep 60'), timeoutMs: 500 })).toMatchObject({
      exitCode: null,
      timedOut: true,
    })
    await until('the shells to end', () =>
      [...shells.values()].every(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null),
    )
    peer.socket.close()
  })
})

describe('liveness', () => {
  test('late after two intervals, lost after three, told once, and back with the next heartbeat', async () => {
    const clock = testClock()
    const hub = await TestHub.open(ground, { clock, heartbeatMs: 60_000 })
    const peer = await new BasePeer(hub.port, ground.sharedKey).open()
    peer.heartbeat('slow-beat')
    const row = await connected(hub, 'slow-beat')
    const { presence } = hub.agents
    const told = () => hub.heard.liveness.filter((line) => line.startsWith('slow-beat'))
    await presence.flush()
    clock.advance(59_000)
    await presence.sweep()
    expect(told()).toEqual(['slow-beat lost online'])
    clock.advance(2_000)
    await Promise.all([presence.sweep(), presence.sweep()])
    await until('late', () => told().length === 2)
    clock.advance(30_000)
    await Promise.all([presence.sweep(), presence.sweep()])
    await until('lost', () => told().length === 3)
    peer.heartbeat('slow-beat')
    await until('the return', async () => {
      await presence.flush()
      return told().length === 4
    })
    expect(told()).toEqual([
      'slow-beat lost online',
      'slow-beat online late',
      'slow-beat late lost',
      'slow-beat lost online',
    ])
    expect(await named('slow-beat')).toMatchObject({ id: row.id, liveness: 'online' })

    // The table of presence is not logged: what a crash of the database took from it comes back under watch.
    await ground.db.tenant(ground.tenantId, (tx) => tx.run(sql`delete from agent_presence where agent_id = ${row.id}`))
    peer.socket.terminate()
    await presence.adopt()
    clock.advance(100_000)
    await presence.sweep()
    await until('lost again', () => told().at(-1) === 'slow-beat online lost')
    await hub.kill()
  })
})

describe('joining', () => {
  const token = (input: { name?: string; labels?: Record<string, string>; lifeMs?: number } = {}) =>
    ground.db.tenant(ground.tenantId, (tx) => createJoinToken(tx, Date.now(), ground.principal, input))

  test('a join token makes one agent with a key of its own', async () => {
    const { token: join_ } = await token({ labels: { env: 'prod' } })
    const joined = await redeemJoinToken(ground.db, { now: Date.now }, join_, 'joined-host')
    expect(joined).toMatchObject({
      name: 'joined-host',
      tenantId: ground.tenantId,
      token: expect.stringMatching(/^wh_agent_/),
    })
    const principal = await ground.authenticator.opaque(joined.token)
    expect(principal).toMatchObject({ ownerId: joined.agentId, tenantId: ground.tenantId, roles: ['system-agent'] })
    expect(await named('joined-host')).toMatchObject({ labels: { env: 'prod' }, enrolled: true })
    await expect(redeemJoinToken(ground.db, { now: Date.now }, join_, 'again')).rejects.toMatchObject({
      code: 'AUTH_TOKEN_INVALID',
    })
  })

  test('of two hosts with one token, one joins', async () => {
    const { token: join_ } = await token()
    const tries = await Promise.allSettled(
      ['twin-a', 'twin-b'].map((name) => redeemJoinToken(ground.db, { now: Date.now }, join_, name)),
    )
    expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  test('late and unknown tokens are refused', async () => {
    const { token: join_ } = await token({ lifeMs: -1 })
    await expect(redeemJoinToken(ground.db, { now: Date.now }, join_, 'late')).rejects.toMatchObject({
      code: 'AUTH_TOKEN_EXPIRED',
    })
    await expect(redeemJoinToken(ground.db, { now: Date.now }, 'whj_x', 'x')).rejects.toMatchObject({
      code: 'AUTH_TOKEN_INVALID',
    })
  })

  test('a host cannot take over another agent by its name', async () => {
    const { agentId } = await enrol('taken')
    const joined = await redeemJoinToken(ground.db, { now: Date.now }, (await token()).token, 'taken')
    expect(joined).toMatchObject({ name: 'taken-2' })
    expect(joined.agentId).not.toBe(agentId)
  })

  test('a new key ends the old one, and keeps the agent', async () => {
    const first = await enrol('rekeyed')
    const second = await enrol('rekeyed')
    expect(second.agentId).toBe(first.agentId)
    ground.authenticator.forget()
    await expect(ground.authenticator.opaque(first.token)).rejects.toMatchObject({ code: 'AUTH_TOKEN_REVOKED' })
    expect((await ground.authenticator.opaque(second.token)).ownerId).toBe(first.agentId)
  })

  test('a revoked agent is gone, its key too, and its name is free', async () => {
    const { agentId, token: key } = await enrol('revoked')
    expect(await ground.db.tenant(ground.tenantId, (tx) => revokeAgent(tx, Date.now(), agentId))).toBe(true)
    ground.authenticator.forget()
    await expect(ground.authenticator.opaque(key)).rejects.toMatchObject({ code: 'AUTH_TOKEN_REVOKED' })
    expect(await named('revoked')).toBeUndefined()
    expect((await enrol('revoked')).agentId).not.toBe(agentId)
  })
})

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
