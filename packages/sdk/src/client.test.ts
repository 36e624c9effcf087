import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { contract } from '@wheelhouse/contract'
import { afterEach, describe, expect, test } from 'vitest'
import { ApiError } from './api-error.ts'
import { createClient } from './client.ts'
import { readEvents, type ServerEvent } from './event-stream.ts'

interface Seen {
  method: string
  url: string
  headers: IncomingMessage['headers']
  body: string
}

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

/** A server that answers as the test says, and what it was asked. */
async function peer(answer: (request: Seen, response: ServerResponse, turn: number) => void) {
  const seen: Seen[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      const { method = '', url = '', headers } = request
      answer({ method, url, headers, body }, response, seen.push({ method, url, headers, body }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { seen, client: createClient(contract, { url, token: () => 'wh_key' }) }
}

const json = (response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}) =>
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))

describe('a declared call', () => {
  test('puts parameters, query and body where the declaration says and names the surface', async () => {
    const { client, seen } = await peer((_, response) => json(response, 200, { id: 'a/b', name: 'x' }))
    await client.fleet.instances.getInstance({ params: { id: 'a/b' } })
    await client.fleet.logs.ingestLogs({ body: { entries: [] } })
    expect(seen[0]).toMatchObject({ method: 'GET', url: '/api/v1/instances/a%2Fb' })
    expect(seen[0]?.headers).toMatchObject({ authorization: 'Bearer wh_key', 'x-wheelhouse-surface': 'fleet' })
    expect(seen[1]).toMatchObject({ method: 'POST', body: '{"entries":[]}' })
  })

  test('sends a form as it is, with the boundary that fetch names', async () => {
    const { client, seen } = await peer((_, response) => json(response, 201, {}))
    const form = new FormData()
    form.set('bundle', new Blob(['bytes']), 'hello.tgz')
    await client.request('POST', '/api/v1/packs/install', { body: form })
    const boundary = /^multipart\/form-data; boundary=(.+)$/.exec(seen[0]?.headers['content-type'] ?? '')?.[1]
    expect(seen[0]?.body).toContain(
      `--${boundary}\r\nContent-Disposition: form-data; name="bundle"; filename="hello.tgz"`,
    )
  })

  test('gives the value out of the envelope of each surface, and the answer as it came', async () => {
    const item = { id: 'one' }
    const { client } = await peer(({ url }, response) => {
      if (url.startsWith('/api/v1/instances'))
        json(response, 200, { instances: [item], data: [item], pagination: { total: 7 } })
      else json(response, 200, { success: true, data: [item], meta: { pagination: { totalItems: 3 } } })
    })
    expect(await client.fleet.instances.listInstances({ query: { status: 'RUNNING' } })).toEqual({
      items: [item],
      total: 7,
      next: null,
    })
    const given = await client.exchange('release', contract.release.environments.list, { query: { pageSize: 1 } })
    expect(given.value).toEqual({ items: [item], total: 3, next: null })
    expect(given.body).toMatchObject({ success: true, data: [item] })
  })
})

describe('a refusal', () => {
  test('is read from each of the error shapes', async () => {
    const shapes = {
      '/release': { success: false, error: { code: 'ENV_FROZEN', message: 'frozen', details: { until: 'x' } } },
      '/fleet': { error: 'Forbidden', message: 'no', statusCode: 403 },
      '/native': { title: 'late', code: 'AUTH_TOKEN_EXPIRED', status: 401 },
      '/jobs': { error: 'job not found', status: 404 },
    } as const
    const { client } = await peer(({ url }, response) =>
      json(response, 403, shapes[url as keyof typeof shapes], { 'x-request-id': 'r-1' }),
    )
    const refusal = async (path: string) =>
      client.request('GET', path).then(
        () => undefined,
        (error: unknown) => error,
      )
    expect(await refusal('/release')).toMatchObject({ code: 'ENV_FROZEN', message: 'frozen', details: { until: 'x' } })
    expect(await refusal('/fleet')).toMatchObject({ message: 'no', status: 403, requestId: 'r-1' })
    expect(await refusal('/native')).toMatchObject({ message: 'late', code: 'AUTH_TOKEN_EXPIRED' })
    expect(await refusal('/jobs')).toMatchObject({ message: 'job not found' })
  })

  test('of a read with a time to wait is tried again, of a write is not', async () => {
    const { client, seen } = await peer((_, response, turn) =>
      turn === 1 ? json(response, 429, { error: 'rate limited' }, { 'retry-after': '0' }) : json(response, 200, {}),
    )
    expect(await client.request('GET', '/x')).toMatchObject({ status: 200 })
    expect(seen).toHaveLength(2)
    const other = await peer((_, response) => json(response, 429, {}, { 'retry-after': '0' }))
    await expect(other.client.request('POST', '/x', { body: {} })).rejects.toBeInstanceOf(ApiError)
    expect(other.seen).toHaveLength(1)
  })
})

describe('a stream of events', () => {
  const all = async (stream: AsyncIterable<ServerEvent>): Promise<ServerEvent[]> => {
    const list: ServerEvent[] = []
    for await (const event of stream) list.push(event)
    return list
  }

  const events = (chunks: readonly string[]): Promise<ServerEvent[]> => {
    const bytes = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk))
        controller.close()
      },
    })
    return all(readEvents(bytes))
  }

  test('is read wherever the network cuts it', async () => {
    const text = ': hello\r\n\r\nevent: stdout\r\nid: 4\r\ndata: {"é":1}\r\n\r\ndata: a\ndata: b\n\ndata: cut off'
    const whole = [
      { event: 'stdout', id: '4', data: '{"é":1}' },
      { event: 'message', id: '4', data: 'a\nb' },
    ]
    expect(await events([text])).toEqual(whole)
    expect(await events([...text])).toEqual(whole)
    for (let at = 1; at < text.length; at += 1) expect(await events([text.slice(0, at), text.slice(at)])).toEqual(whole)
  })

  test('is joined again after a cut, from the last event that was heard', async () => {
    const { client, seen } = await peer((_, response, turn) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      // The first answer is cut off in its middle.
      if (turn === 1) response.write('id: 1\ndata: one\n\n', () => response.socket?.end())
      else response.write('id: 2\ndata: two\n\n')
    })
    const heard: string[] = []
    const opened: number[] = []
    for await (const { data } of client.events('/stream', { onOpen: (again) => opened.push(again) })) {
      heard.push(data)
      if (data === 'two') break
    }
    expect(heard).toEqual(['one', 'two'])
    expect(opened).toEqual([0, 1])
    expect(seen.map(({ headers }) => headers['last-event-id'])).toEqual([undefined, '1'])
  })

  test('ends with the reason when the server refuses it', async () => {
    const { client, seen } = await peer((_, response) => json(response, 404, { title: 'job not found' }))
    await expect(client.events('/stream').next()).rejects.toMatchObject({ status: 404, message: 'job not found' })
    expect(seen).toHaveLength(1)
  })
})
