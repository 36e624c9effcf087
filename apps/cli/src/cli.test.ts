import type { ServerResponse } from 'node:http'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { groups, topLevel } from './commands/index.ts'
import { type Bench, json, openBench, openPeer, type Peer, type Ran, type Seen } from './harness.ts'

let bench: Bench
let peers: Peer[]
beforeEach(() => {
  bench = openBench()
  peers = []
})
afterEach(() => {
  bench.close()
  for (const peer of peers) peer.close()
})

async function peer(answer: (request: Seen, response: ServerResponse) => void): Promise<Peer> {
  const opened = await openPeer(answer)
  peers.push(opened)
  return opened
}

const on = (server: Peer, args: readonly string[], options: Parameters<Bench['run']>[1] = {}): Promise<Ran> =>
  bench.run(args, { ...options, env: { WHEELHOUSE_URL: server.url, WHEELHOUSE_API_KEY: 'wh_test', ...options.env } })

const machine = (id: string) => ({
  id,
  name: id,
  status: 'RUNNING',
  provider: 'ssh',
  region: null,
  tags: { env: 'test' },
  lastHeartbeat: null,
})
const page = (ids: readonly string[], total = ids.length) => ({
  instances: ids.map(machine),
  data: ids.map(machine),
  pagination: { page: 1, limit: 20, pageSize: 20, total, totalPages: Math.ceil(total / 20) },
})

describe('a list', () => {
  test('is a table on stdout and talk on stderr', async () => {
    const server = await peer((_, response) => json(response, 200, page(['web-1'], 57)))
    const { code, stdout, stderr } = await on(server, ['instance', 'list'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^ID +NAME +STATUS.*\nweb-1 +web-1 +RUNNING +ssh.*env=test\n$/)
    expect(stderr).toBe('1 of 57; --page 2 shows the next ones.\n')
    expect(server.seen[0]).toMatchObject({
      path: '/api/v1/instances',
      headers: { authorization: 'Bearer wh_test', 'x-wheelhouse-surface': 'fleet' },
    })
    expect((await on(server, ['instance', 'list', '--quiet'])).stderr).toBe('')
  })

  test('is exactly the reply with -o json, the same in yaml, and ids with -o name', async () => {
    const reply = { ...page(['web-1', 'web-2']), extra: { beyond: 'the contract' } }
    const server = await peer((_, response) => json(response, 200, reply))
    expect(JSON.parse((await on(server, ['instance', 'list', '-o', 'json'])).stdout)).toEqual(reply)
    expect((await on(server, ['instance', 'list', '-o', 'yaml'])).stdout).toContain('beyond: the contract')
    expect((await on(server, ['-o', 'name', 'instance', 'list'])).stdout).toBe('web-1\nweb-2\n')
  })

  test('sends its flags as the declaration names them, and only known words', async () => {
    const server = await peer((_, response) => json(response, 200, page([])))
    const { code, stdout, stderr } = await on(server, [
      'instance',
      'list',
      '--status',
      'STOPPED',
      '--limit',
      '5',
      '--page',
      '2',
    ])
    expect([code, stdout, stderr]).toEqual([0, '', 'Nothing found.\n'])
    expect(server.seen[0]?.query).toEqual({ status: 'STOPPED', pageSize: '5', page: '2' })
    expect((await on(server, ['instance', 'list', '--status', 'ASLEEP'])).code).toBe(2)
    expect((await on(server, ['instance', 'list', '--limit', 'many'])).code).toBe(2)
    expect(server.seen).toHaveLength(1)
  })

  test('is shown again whenever it changes with --watch, until Ctrl-C', async () => {
    const stop = new AbortController()
    let asked = 0
    const server = await peer((_, response) => {
      asked += 1
      json(response, 200, page(asked < 3 ? ['one'] : ['one', 'two']))
      if (asked === 4) stop.abort()
    })
    const { code, stdout } = await on(server, ['instance', 'list', '--watch', '--every', '100ms', '-o', 'name'], {
      signal: stop.signal,
    })
    expect(code).toBe(130)
    expect(stdout).toBe('one\none\ntwo\n')
  })
})

describe('a change', () => {
  test('that loses something asks, and refuses where nobody can answer', async () => {
    const server = await peer((_, response) => json(response, 200, { message: 'gone', id: 'web-1', name: 'web-1' }))
    const refused = await on(server, ['instance', 'delete', 'web-1'])
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('--yes') })
    expect(server.seen).toEqual([])
    expect(await on(server, ['instance', 'delete', 'web-1', '--yes'])).toMatchObject({
      code: 0,
      stderr: 'web-1: gone\n',
    })
    expect(server.seen[0]).toMatchObject({ method: 'DELETE', path: '/api/v1/instances/web-1' })
  })

  test('with --dry-run shows its request and sends none', async () => {
    const server = await peer((_, response) => json(response, 200, {}))
    const { code, stdout } = await on(server, [
      'role',
      'create',
      'watcher',
      '--grant',
      'log:read',
      '--grant',
      'job:read',
      '--dry-run',
    ])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual({
      method: 'POST',
      path: '/api/v1/admin/roles',
      body: { name: 'watcher', grants: ['log:read', 'job:read'] },
    })
    expect(server.seen).toEqual([])
  })

  test('takes its body from a file or stdin, flags first', async () => {
    const server = await peer((_, response) => json(response, 200, { name: 'watcher' }))
    writeFileSync(join(bench.home, 'role.yaml'), 'description: from the file\ngrants: [log:read]\n')
    await on(server, ['role', 'create', 'watcher', '-f', 'role.yaml', '--description', 'from the flag'])
    await on(server, ['role', 'create', 'other', '-f', '-'], { stdin: '{"grants":["*"]}' })
    expect(server.seen.map(({ body }) => body)).toEqual([
      { name: 'watcher', description: 'from the flag', grants: ['log:read'] },
      { name: 'other', grants: ['*'] },
    ])
    expect((await on(server, ['role', 'create', 'x', '-f', '-'], { stdin: '[1]' })).code).toBe(2)
  })

  test('that waits for approval says so and ends with 7', async () => {
    const held = {
      message: 'waits',
      id: 'web-1',
      name: 'web-1',
      status: 'RUNNING',
      jobId: 'job-9',
      approvalRequired: true,
    }
    const server = await peer((_, response) => json(response, 200, held))
    const { code, stderr } = await on(server, ['instance', 'resume', 'web-1'])
    expect(code).toBe(7)
    expect(stderr).toContain('wheelhouse job approve job-9')
  })
})

describe('the exit code', () => {
  const refused = async (status: number, body: object): Promise<Ran> => {
    const server = await peer((_, response) => json(response, status, body))
    return on(server, ['instance', 'get', 'web-1'])
  }

  test('tells what kind of refusal it was, and the text what to do next', async () => {
    const codes = { 400: 1, 401: 3, 403: 3, 404: 4, 409: 5, 422: 1, 500: 1, 504: 8 }
    for (const [status, code] of Object.entries(codes))
      expect(
        await refused(Number(status), { error: 'X', message: 'so it is', statusCode: Number(status) }),
      ).toMatchObject({
        code,
        stdout: '',
        stderr: expect.stringContaining('✗ so it is'),
      })
    expect((await refused(401, { error: 'unauthorized' })).stderr).toContain('wheelhouse login')
  })

  test('is 6 for what policy denied, on surfaces with and without codes, with rule and reason', async () => {
    const fleet = await refused(403, { message: 'it would break', details: { rule: 'no-break', why: 'because' } })
    expect(fleet).toMatchObject({ code: 6, stderr: expect.stringContaining('rule: no-break') })
    const native = await refused(403, { title: 'no', code: 'POLICY_DENIED', status: 403 })
    expect(native.code).toBe(6)
  })

  test('is 2 for what cannot be understood, and 0 for help', async () => {
    for (const args of [
      ['nonsense'],
      ['instance', 'lst'],
      ['instance', 'get'],
      ['instance', 'list', '--nope'],
      ['instance', 'list', '-o', 'xml'],
    ])
      expect((await bench.run(args)).code).toBe(2)
    for (const args of [['--help'], [], ['instance', 'list', '--help'], ['--version']])
      expect(await bench.run(args)).toMatchObject({ code: 0, stdout: expect.stringMatching(/\S/) })
  })

  test('is 3 where nobody is logged in and 1 where nobody answers, with the address', async () => {
    expect(await bench.run(['instance', 'list'])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('wheelhouse login'),
    })
    const server = await peer(() => {})
    server.close()
    const silent = await on(server, ['instance', 'list'])
    expect(silent).toMatchObject({ code: 1, stderr: expect.stringContaining(server.url) })
    expect(silent.stderr).toContain('nothing listens there')
  })

  test('of refused input names each member', async () => {
    const details = { formErrors: [], fieldErrors: { name: ['must be shorter'] } }
    expect((await refused(422, { message: 'Validation', details })).stderr).toContain('name: must be shorter')
    const violations = [{ field: 'grants[0]', message: 'is no pattern', code: 'pattern' }]
    expect((await refused(400, { title: 'Validation', violations })).stderr).toContain('grants[0]: is no pattern')
  })
})

describe('any path', () => {
  test('is called with api, and its answer printed as it came', async () => {
    const server = await peer(({ path }, response) =>
      path === '/plain' ? void response.end('just text\n') : json(response, 200, { ok: true }),
    )
    expect((await on(server, ['api', '/plain'])).stdout).toBe('just text\n')
    expect(JSON.parse((await on(server, ['api', 'GET', 'x', '-F', 'a=1'])).stdout)).toEqual({ ok: true })
    await on(server, ['api', '/y', '-d', '{"b":2}', '-H', 'If-Match: 3', '--surface', 'release'])
    await on(server, ['api', 'PUT', '/z', '-d', '@-'], { stdin: '{"c":3}' })
    expect(server.seen.slice(1)).toMatchObject([
      { method: 'GET', path: '/x', query: { a: '1' } },
      { method: 'POST', path: '/y', body: { b: 2 }, headers: { 'if-match': '3', 'x-wheelhouse-surface': 'release' } },
      { method: 'PUT', path: '/z', body: { c: 3 } },
    ])
    expect((await on(server, ['api', 'FETCH', '/x'])).code).toBe(2)
    expect((await on(server, ['api', 'https://elsewhere/x'])).code).toBe(2)
  })
})

describe('a command on a machine', () => {
  const events = (response: ServerResponse, list: readonly [event: string, data: object][]): void => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    list.forEach(([event, data], at) => response.write(`event: ${event}\nid: ${at}\ndata: ${JSON.stringify(data)}\n\n`))
    response.end()
  }
  const serve = (list: readonly [string, object][], exitCode: number | null) =>
    peer(({ method, path }, response) => {
      if (path.endsWith('/output')) events(response, list)
      else json(response, method === 'POST' ? 201 : 200, { id: 'exec-1', jobId: 'job-1', exitCode })
    })
  const at = '2026-01-01T00:00:00.000Z'

  test('has its streams on ours and its exit code as ours', async () => {
    const server = await serve(
      [
        ['state', { state: 'RUNNING', at }],
        ['stdout', { seq: 1, chunk: 'out\n', at }],
        ['stderr', { seq: 2, chunk: 'err\n', at }],
        ['end', { state: 'FAILED', code: 'COMMAND_FAILED', message: 'The command ended with exit code 42' }],
      ],
      42,
    )
    expect(await on(server, ['exec', '-e', 'A=b', 'web-1', '--', 'ls', '-la', '--color'])).toEqual({
      code: 42,
      stdout: 'out\n',
      stderr: 'err\n',
    })
    expect(server.seen[0]).toMatchObject({
      path: '/api/v1/commands',
      query: { wait: '0' },
      body: { instanceId: 'web-1', command: 'ls', args: ['-la', '--color'], env: { A: 'b' } },
    })
    await on(server, ['exec', 'web-1', 'ls | wc'])
    expect(server.seen.findLast(({ method }) => method === 'POST')?.body).not.toHaveProperty('args')
  })

  test('that policy holds ends with 7 and tells how to decide it', async () => {
    const server = await serve(
      [['state', { state: 'APPROVAL_REQUIRED', at, rule: 'two-people', reason: 'production' }]],
      null,
    )
    const { code, stderr } = await on(server, ['exec', 'web-1', 'uptime'])
    expect(code).toBe(7)
    expect(stderr).toContain('rule two-people: production')
    expect(stderr).toContain('wheelhouse job approve job-1')
  })

  test('whose flags stand behind the machine is a usage error, not a command of that name', async () => {
    const server = await serve([], 0)
    expect(await on(server, ['exec', 'web-1', '--timeout', '5s', 'ls'])).toMatchObject({ code: 2 })
    expect(await on(server, ['exec', '--timeout', 'soon', 'web-1', 'ls'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('soon is no length of time'),
    })
    expect(server.seen).toEqual([])
  })
})

describe('completion', () => {
  test('offers commands, choices and names of things, and keeps silent where no server answers', async () => {
    const server = await peer((_, response) => json(response, 200, page(['web-1', 'db-1'])))
    const offered: string[] = []
    const log = console.log
    console.log = (line: string) => void offered.push(line)
    try {
      await on(server, ['complete', '--', 'instance', 'get', 'web'])
      await on(server, ['complete', '--', 'instance', 'list', '--status', ''])
      await bench.run(['complete', '--', 'instance', 'get', ''])
    } finally {
      console.log = log
    }
    expect(offered).toEqual(expect.arrayContaining(['web-1\tweb-1 RUNNING', 'STOPPED\t']))
    expect(offered).not.toContain('db-1\tdb-1 RUNNING')
  })
})

test('no two commands of a group share a name, and each says what it does', () => {
  for (const { commands, name } of [...groups, { name: '', commands: topLevel }]) {
    const names = commands.flatMap((command) => [command.name, ...(command.aliases ?? [])])
    expect([name, names.length]).toEqual([name, new Set(names).size])
    for (const command of commands) expect(command.summary).not.toBe('')
  }
})
