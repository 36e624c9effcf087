import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { at, sql } from '../../kernel/db/index.ts'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
let jobId: string
beforeAll(async () => {
  world = await openWorld()
  const principal = await world.principal(world.a.keys.admin)
  const submitted = await world.kernel.jobs.submitBatched(principal, {
    request: { topic: 'job.default', tenant: principal.tenantSlug, principalId: principal.subject },
    context: JSON.stringify({ prompt: 'héllo' }),
  })
  jobId = submitted.jobId
})
afterAll(() => world.close())

const read = (query: string, as = world.a.keys.worker) => world.call('GET', `/api/v1/memory?${query}`, { as })
const write = (pointer: string, body: unknown, as = world.a.keys.worker) =>
  world.call('PUT', `/api/v1/memory?ptr=${encodeURIComponent(pointer)}`, { as, body })
const keep = (key: string, body: Buffer) =>
  world.kernel.db.tenant(world.a.id, (tx) =>
    tx.run(sql`insert into job_values (tenant_id, key, body, expires_at)
      values (${world.a.id}, ${key}, ${body}, ${at(world.kernel.clock.now() + 60_000)})`),
  )

describe('reading', () => {
  test('the context of a job, by pointer, by key and in quotes', async () => {
    const bytes = Buffer.from('{"prompt":"héllo"}')
    const expected = {
      pointer: `redis://ctx:${jobId}`,
      key: `ctx:${jobId}`,
      kind: 'context',
      size_bytes: bytes.length,
      base64: bytes.toString('base64'),
      text: bytes.toString(),
      json: { prompt: 'héllo' },
    }
    for (const query of [
      `ptr=redis://ctx:${jobId}`,
      `key=ctx:${jobId}`,
      `key=redis://ctx:${jobId}`,
      `ptr=${encodeURIComponent(`"redis://ctx:${jobId}"`)}`,
    ])
      expect(await read(query), query).toMatchObject({ status: 200, body: expected })
  })

  test('a memory comes in its wrapper, decoded where it is JSON', async () => {
    await keep('mem:run:1:summary', Buffer.from('{"facts":[1]}'))
    await keep('mem:plain', Buffer.from('just words'))
    await keep('mem:bytes', Buffer.from([255, 254]))
    expect((await read('key=mem:run:1:summary')).body).toMatchObject({
      kind: 'memory',
      json: { redis_type: 'string', value: { facts: [1] } },
    })
    expect((await read('key=mem:plain')).body.json).toEqual({ redis_type: 'string', value: 'just words' })
    expect((await read('key=mem:bytes')).body.json).toEqual({ redis_type: 'string', base64: '//4=' })
  })

  test('bytes that are no text have neither text nor json', async () => {
    await keep('res:binary', Buffer.from([255, 254]))
    const { body } = await read('ptr=redis://res:binary')
    expect(body).toEqual({
      pointer: 'redis://res:binary',
      key: 'res:binary',
      kind: 'result',
      size_bytes: 2,
      base64: '//4=',
    })
  })

  test('refuses in the words of the document; another tenant finds nothing', async () => {
    const refusals: [string, number, string][] = [
      ['', 400, 'missing ptr or key'],
      ['ptr=', 400, 'missing ptr or key'],
      ['ptr=ctx:1', 400, 'invalid pointer'],
      ['ptr=https://a.test/x', 400, 'invalid pointer'],
      ['key=https://a.test/x', 400, 'invalid key pointer'],
      ['key=cfg:system:default', 400, 'unsupported pointer key (only ctx:*, res:*, or mem:*)'],
      ['ptr=redis://art:1', 400, 'unsupported pointer key (only ctx:*, res:*, or mem:*)'],
      ['ptr=redis://ctx:no-such-job', 404, 'not found'],
    ]
    for (const [query, status, error] of refusals)
      expect(await read(query), query).toMatchObject({ status, body: { error, status } })
    expect((await read(`key=ctx:${jobId}`, world.b.keys.admin)).status).toBe(404)
    expect(await read(`key=ctx:${jobId}`, world.a.keys.viewer)).toMatchObject({
      status: 403,
      body: { error: 'role viewer not permitted' },
    })
  })
})

describe('writing', () => {
  test('a worker without a store of its own leaves the result of a running job and its memories here', async () => {
    expect(await write(`redis://res:${jobId}`, { answer: 42 })).toMatchObject({
      status: 200,
      body: { pointer: `redis://res:${jobId}`, size_bytes: 13 },
    })
    expect((await read(`ptr=redis://res:${jobId}`)).body.json).toEqual({ answer: 42 })
    await write('redis://mem:notes', ['a'])
    await write('redis://mem:notes', ['a', 'b'])
    expect((await read('key=mem:notes')).body.json).toEqual({ redis_type: 'string', value: ['a', 'b'] })
  })

  test('contexts, unknown jobs, ended jobs and other tenants’ jobs are not written', async () => {
    expect((await write(`redis://ctx:${jobId}`, {})).status).toBe(400)
    expect((await write('redis://res:nobody', {})).status).toBe(404)
    expect((await write(`redis://res:${jobId}`, {}, world.b.keys.worker)).status).toBe(404)
    const principal = await world.principal(world.a.keys.admin)
    await world.kernel.db.tenant(world.a.id, (tx) => world.kernel.jobs.cancel(tx, principal, jobId, 'done'))
    expect((await write(`redis://res:${jobId}`, { answer: 43 })).status).toBe(409)
    expect((await write('redis://mem:notes', {}, world.a.keys.user)).status).toBe(403)
  })
})

describe('memories', () => {
  test('events are a list and chunks a set, in the wrapper of the document; one memory has one name', async () => {
    const events = [
      { role: 'user', content: 'hi', ts: 1_900_000_000 },
      { role: 'assistant', content: 'hello', ts: 1_900_000_001 },
    ]
    expect(await write('redis://mem:mem:m1:events', events)).toMatchObject({ status: 200 })
    expect((await read('key=mem:m1:events')).body.json).toEqual({ redis_type: 'list', length: 2, items: events })
    const chunk = { path: 'a.ts', language: 'ts', content: 'x' }
    await write('redis://mem:m1:chunk:7', chunk)
    expect((await read('key=mem:mem:m1:chunks')).body.json).toEqual({
      redis_type: 'set',
      length: 1,
      items: ['mem:m1:chunk:7'],
    })
    expect((await read('key=mem:m1:chunk:7')).body.json).toEqual({ redis_type: 'string', value: chunk })
    expect((await read('key=mem:m1:events', world.b.keys.admin)).status).toBe(404)
  })

  test('what is no event and no chunk is refused', async () => {
    expect(await write('redis://mem:m2:events', { role: 'user' })).toMatchObject({
      status: 400,
      body: { error: 'events are a list of {role, content, ts}' },
    })
    expect((await write('redis://mem:m2:chunk:1', 'text')).status).toBe(400)
    expect((await write('redis://mem:m2:chunks', [])).status).toBe(400)
  })
})
