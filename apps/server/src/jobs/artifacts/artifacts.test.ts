import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld({ movableClock: true })
})
afterAll(() => world.close())

const put = (body: unknown, options: { query?: string; as?: string; headers?: Record<string, string> } = {}) =>
  world.call('POST', `/api/v1/artifacts${options.query ?? ''}`, {
    as: options.as ?? world.a.keys.user,
    body,
    ...(options.headers ? { headers: options.headers } : {}),
  })
const get = (pointer: string, as = world.a.keys.viewer) =>
  world.call('GET', `/api/v1/artifacts/${encodeURIComponent(pointer)}`, { as })

/** A request whose path is sent as it is: clients of the reference do not encode the pointer. */
const getRaw = (path: string): Promise<{ status: number; body: { content_base64?: string } }> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(world.url)
    request({ hostname, port, path, headers: { 'X-API-Key': world.a.keys.viewer } }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString()) })
      })
    })
      .on('error', reject)
      .end()
  })

describe('storing and reading', () => {
  test('bytes come back as they were, with what is known of them', async () => {
    const content = Buffer.from([0, 255, 128, 10, 13])
    const made = await put({
      content_base64: content.toString('base64'),
      content: 'loses',
      content_type: 'application/x-test',
      retention: 'audit',
      labels: { build: '7', tenant_id: world.b.slug },
    })
    expect(made).toMatchObject({
      status: 200,
      body: { artifact_ptr: expect.stringMatching(/^redis:\/\/art:[0-9a-f-]{36}$/), size_bytes: 5 },
    })
    expect(await get(made.body.artifact_ptr)).toMatchObject({
      status: 200,
      body: {
        artifact_ptr: made.body.artifact_ptr,
        content_base64: content.toString('base64'),
        metadata: {
          content_type: 'application/x-test',
          size_bytes: 5,
          retention: 'audit',
          labels: { build: '7', tenant_id: world.a.slug },
        },
      },
    })
  })

  test('the pointer may stand in the path encoded, raw, or under the surface’s own prefix', async () => {
    const { artifact_ptr: pointer } = (await put({ content: 'raw' })).body
    for (const path of [
      `/api/v1/artifacts/${pointer}`,
      `/api/v1/artifacts/${pointer}?x=a/b`,
      `/jobs/api/v1/artifacts/${pointer}`,
      `/api/v1/artifacts/${pointer.replace('//', '/')}`,
      `/api/v1/artifacts/${encodeURIComponent(pointer)}`,
    ])
      expect(await getRaw(path), path).toMatchObject({
        status: 200,
        body: { content_base64: Buffer.from('raw').toString('base64') },
      })
  })

  test('another tenant, an expired class and an unknown id find nothing', async () => {
    const { artifact_ptr: short } = (await put({ content: 'x', retention: 'short' })).body
    const { artifact_ptr: standard } = (await put({ content: 'x', retention: 'whatever' })).body
    const nothing = { status: 404, body: { error: 'artifact not found', status: 404 } }
    expect(await get(short, world.b.keys.viewer)).toMatchObject(nothing)
    expect(await get('redis://art:00000000-0000-7000-8000-000000000000')).toMatchObject(nothing)
    world.clock?.advance(24 * 3_600_000)
    expect(await get(short)).toMatchObject(nothing)
    expect((await get(standard)).body.metadata.retention).toBe('standard')
  })
})

describe('refusals', () => {
  test('bodies that hold nothing or no base64', async () => {
    const refusals: [unknown, string][] = [
      ['{', 'invalid json'],
      [{}, 'content required'],
      [{ content: '' }, 'content required'],
      [{ content_base64: 'a' }, 'invalid base64 content'],
      [{ content_base64: 'YQ' }, 'invalid base64 content'],
      [{ content_base64: 'Y_==' }, 'invalid base64 content'],
    ]
    for (const [body, error] of refusals)
      expect(await put(body), JSON.stringify(body)).toMatchObject({ status: 400, body: { error } })
    expect((await put({ content_base64: 'YQ=\r\n=' })).body.size_bytes).toBe(1)
  })

  test('more than the caller takes, by query or by header; the query wins', async () => {
    const large = { status: 413, body: { error: 'artifact too large' } }
    const headers = { 'X-Max-Artifact-Bytes': '3' }
    expect(await put({ content: 'four' }, { query: '?max_bytes=3' })).toMatchObject(large)
    expect(await put({ content: 'four' }, { headers })).toMatchObject(large)
    expect((await put({ content: 'four' }, { headers, query: '?max_bytes=4' })).status).toBe(200)
    expect((await put({ content: 'four' }, { query: '?max_bytes=none' })).status).toBe(200)
  })

  test('pointers that are none, or lead elsewhere', async () => {
    for (const pointer of ['redis://ctx:job-1', 'cfg:system:default', 'redis://art:', 'art:a/b', 'https://a.test/x'])
      expect(await get(pointer), pointer).toMatchObject({ status: 400, body: { error: 'invalid artifact pointer' } })
    expect(await get(' ')).toMatchObject({ status: 400, body: { error: 'artifact pointer required' } })
  })

  test('a viewer stores nothing', async () => {
    expect(await put({ content: 'x' }, { as: world.a.keys.viewer })).toMatchObject({
      status: 403,
      body: { error: 'role viewer not permitted' },
    })
  })
})
