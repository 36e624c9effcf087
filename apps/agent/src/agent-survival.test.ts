import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AgentProcess, isAlive, TestServer, until } from './agent-harness.ts'

let server: TestServer
let agent: AgentProcess

beforeEach(async () => {
  server = await new TestServer().start()
  agent = new AgentProcess(server).start()
  await server.next('hello')
})

afterEach(async () => {
  await agent.remove()
  await server.stop()
})

const hellos = (count: number) => until(`hello number ${count}`, () => server.all('hello')[count - 1])
const lines = (file: string) => readFileSync(join(agent.dataDir, file), 'utf8').split('\n').length - 1

describe('when the server goes away', () => {
  test('a result that it missed is kept, delivered when it asks, and gone once acknowledged', async () => {
    server.exec({
      task_id: 'long',
      command: 'echo before; echo ran >> proof; while [ ! -e gate ]; do sleep 0.05; done; echo after',
      shell: true,
    })
    await until('the first output', () => server.output('long', 'stdout') === 'before\n')
    await server.stop()
    writeFileSync(join(agent.dataDir, 'gate'), '')
    await until('the task to end', () => agent.log.includes('task ended'))
    await server.start()
    const { payload } = await hellos(2)
    expect(payload.tasks).toEqual([{ task_id: 'long', attempt: 1, state: 'finished', last_seq: 2 }])
    expect(server.all('exec:result')).toEqual([])

    server.exec({ task_id: 'long', command: 'echo this must not run', shell: true, after_seq: 1 })
    expect(await server.result('long')).toMatchObject({ exit_code: 0, last_seq: 2 })
    expect(server.output('long', 'stdout')).toBe('before\nafter\n')
    expect(lines('proof')).toBe(1)

    server.send({ type: 'exec:ack', payload: { task_id: 'long', attempt: 1 } })
    server.exec({ task_id: 'barrier', command: 'true' })
    await server.result('barrier')
    server.send({ type: 'exec:ack', payload: { task_id: 'barrier', attempt: 1 } })
    await server.stop()
    await server.start()
    expect((await hellos(3)).payload.tasks).toEqual([])
    expect(server.all('exec:result').filter(({ payload }) => payload.task_id === 'long')).toHaveLength(1)
  })

  test('a task that still runs goes on, and its output goes on where the server names', async () => {
    server.exec({ task_id: 'steady', command: 'for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.2; done', shell: true })
    await until('some output', () => server.output('steady', 'stdout').includes('2\n'))
    await server.stop()
    await server.start()
    const { payload } = await hellos(2)
    expect(payload.tasks[0]).toMatchObject({ task_id: 'steady', state: 'running' })
    const seen = server.all('exec:output').at(-1)?.payload.seq ?? 0
    server.exec({ task_id: 'steady', command: 'unused', after_seq: seen })
    expect((await server.result('steady')).exit_code).toBe(0)
    expect(server.output('steady', 'stdout')).toBe('1\n2\n3\n4\n5\n6\n7\n8\n')
  })

  test('a terminal keeps what it wrote meanwhile', async () => {
    server.send({ type: 'terminal:create', session_id: 't', payload: { cols: 80, rows: 24, shell: '/bin/sh' } })
    const input = Buffer.from('sleep 0.5; echo still "he"re\n').toString('base64')
    server.send({ type: 'terminal:input', session_id: 't', payload: { data: input } })
    await until('the echo', () => server.all('terminal:output').length > 0)
    await server.stop()
    await server.start()
    expect((await hellos(2)).payload.terminals).toEqual(['t'])
    const screen = () =>
      server
        .all('terminal:output')
        .map(({ payload }) => Buffer.from(payload.data, 'base64').toString())
        .join('')
    await until('what was written meanwhile', () => screen().includes('still here'))
  })
})

describe('when the agent goes away', () => {
  test('after its kill -9 a running task is ended and reported as lost, and never runs again', async () => {
    server.exec({
      task_id: 'victim',
      command: 'echo $$; echo ran >> proof; (setsid sleep 300 &); sleep 300',
      shell: true,
    })
    const pid = await until('the pid', () => Number(server.output('victim', 'stdout')) || undefined)
    await agent.end('SIGKILL')
    expect(isAlive(pid)).toBe(true)
    agent.start()
    const { payload } = await hellos(2)
    expect(payload.tasks).toEqual([{ task_id: 'victim', attempt: 1, state: 'finished', last_seq: 1 }])
    expect(isAlive(pid)).toBe(false)
    server.exec({ task_id: 'victim', command: 'echo ran >> proof', shell: true, after_seq: 1 })
    expect(await server.result('victim')).toMatchObject({
      exit_code: null,
      error: { code: 'lost' },
      stdout_bytes: `${pid}\n`.length,
    })
    expect(lines('proof')).toBe(1)
  })

  test('a result that was stored survives its kill -9', async () => {
    server.exec({ task_id: 'done', command: 'echo kept; exit 4', shell: true })
    await server.result('done')
    await agent.end('SIGKILL')
    agent.start()
    expect((await hellos(2)).payload.tasks).toEqual([{ task_id: 'done', attempt: 1, state: 'finished', last_seq: 1 }])
    const before = server.messages.length
    server.exec({ task_id: 'done', command: 'unused' })
    await until('the result', () => server.messages.slice(before).some(({ type }) => type === 'exec:result'))
    const replayed = server.messages.slice(before).filter(({ type }) => type.startsWith('exec:'))
    expect(replayed.map(({ type }) => type)).toEqual(['exec:output', 'exec:result'])
    expect(replayed[1]?.payload).toMatchObject({ exit_code: 4 })
  })

  test('asked to stop, it ends its tasks, keeps their results, and says goodbye', async () => {
    server.exec({ task_id: 'stopped', command: 'sleep', args: ['300'] })
    const { payload } = await server.next('exec:started')
    expect(await agent.end('SIGTERM')).toBe(0)
    expect(isAlive(payload.pid)).toBe(false)
    agent.start()
    expect((await hellos(2)).payload.tasks).toMatchObject([{ task_id: 'stopped', state: 'finished' }])
    server.exec({ task_id: 'stopped', command: 'unused' })
    const result = await until('a result', () => server.all('exec:result').at(-1))
    expect(result.payload.error?.code).toBe('agent_stopped')
  })

  test('a second agent does not get at the same data folder', async () => {
    const second = new AgentProcess(server, { WHEELHOUSE_AGENT_DATA_DIR: agent.dataDir }).start()
    await until('its refusal', () => second.log.includes('another agent'))
    await second.remove()
  })
})

describe('with a server that speaks only the base protocol', () => {
  test('terminal, heartbeat, metrics and commands work without an answer to hello', async () => {
    await agent.remove()
    server.speaksBaseOnly = true
    agent = new AgentProcess(server, {
      SINDRI_AGENT_HEARTBEAT: '0.2',
      SINDRI_AGENT_METRICS: '0.3',
    }).start()
    await hellos(2)
    const from = server.messages.length
    const fresh = (type: string) =>
      until(type, () => server.messages.slice(from).find((message) => message.type === type))
    await fresh('heartbeat')
    await fresh('metrics')
    const session_id = 'base'
    server.send({ type: 'terminal:create', payload: { session_id, cols: 80, rows: 24 } })
    server.send({
      type: 'terminal:input',
      payload: { session_id, data: Buffer.from('echo it "wo"rks\n').toString('base64') },
    })
    await until('the answer', () =>
      server
        .all('terminal:output')
        .map(({ payload }) => Buffer.from(payload.data, 'base64').toString())
        .join('')
        .includes('it works'),
    )
    server.send({ type: 'terminal:close', session_id, payload: {} })
    await fresh('terminal:closed')
    server.send({ type: 'command:dispatch', payload: { command_id: 'c', command: 'echo yes' } })
    expect((await server.next('command:result')).payload.stdout).toBe('yes\n')
  })
})
