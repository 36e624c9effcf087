import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Worker } from '@wheelhouse/sdk/worker'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { capWorker } from '../../testing/cap-worker.ts'
import { openWorld, type World } from '../../testing/world.ts'

interface Exported {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  startTimeUnixNano: string
  endTimeUnixNano: string
  status: { code?: number; message?: string }
  attributes: { key: string; value: Record<string, unknown> }[]
}

/** A collector: takes spans by OTLP over HTTP, as JSON. */
let collector: Server
const spans: Exported[] = []
const resources: string[] = []
let world: World

beforeAll(async () => {
  collector = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      if (request.url !== '/v1/traces' || request.headers['x-team'] !== 'a b') return void response.writeHead(404).end()
      const body = JSON.parse(Buffer.concat(chunks).toString()) as {
        resourceSpans: { resource: unknown; scopeSpans: { spans: Exported[] }[] }[]
      }
      for (const each of body.resourceSpans) {
        resources.push(JSON.stringify(each.resource))
        spans.push(...each.scopeSpans.flatMap((scope) => scope.spans))
      }
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    })
  })
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve))
  const { port } = collector.address() as AddressInfo
  world = await openWorld({
    config(config) {
      config.traces.endpoint = `http://127.0.0.1:${port}`
      config.traces.headers = 'x-team=a%20b'
      config.traces.serviceName = 'wheelhouse-test'
    },
  })
})
afterAll(async () => {
  await world.close()
  await new Promise((resolve) => collector.close(resolve))
})

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const job = (id: string) => world.call('GET', `/api/v1/jobs/${id}`).then(({ body }) => body)
const attribute = (span: Exported, key: string): unknown =>
  Object.values(span.attributes.find((each) => each.key === key)?.value ?? {})[0]
const ofTrace = (traceId: string): Exported[] => spans.filter((span) => span.traceId === traceId)

test('one trace goes from the request through policy, queue, worker and result, and on into what the worker submits', async () => {
  const { token, close } = await capWorker(world, world.a, { id: 'traced-key' })
  await close()
  const seen: string[] = []
  const worker = new Worker({ id: 'traced', url: world.url, credentials: token, onError: () => undefined })
  worker.handle('job.traced', async (context) => {
    seen.push(context.traceparent)
    return { child: await context.submit('job.traced-child', {}) }
  })
  worker.handle('job.traced-child', () => {
    throw new Error('no')
  })
  await worker.start()
  try {
    const headers = { traceparent: `00-${TRACE}-b7ad6b7169203331-01` }
    const made = await world.call('POST', '/api/v1/jobs', { body: { prompt: 'x', topic: 'job.traced' }, headers })
    const id: string = made.body.job_id
    await expect.poll(async () => (await job(id)).state).toBe('SUCCEEDED')
    const { child } = (await job(id)).result
    await expect.poll(async () => (await job(child)).state).toBe('FAILED')
    const names = () => ofTrace(TRACE).map(({ name }) => name)
    await expect
      .poll(() => names().toSorted())
      .toEqual(
        [
          'POST /api/v1/jobs',
          'POST /api/v1/jobs',
          ...['job.traced', 'job.traced-child'].flatMap((topic) => [`job ${topic}`, `run ${topic}`]),
          ...['policy', 'queue', 'result'].flatMap((name) => [name, name]),
        ].toSorted(),
      )
    const byId = new Map(ofTrace(TRACE).map((span) => [span.spanId, span]))
    const path = (span: Exported | undefined): string[] =>
      span ? [span.name, ...path(byId.get(span.parentSpanId ?? ''))] : []
    const [failed] = ofTrace(TRACE).filter((span) => span.name === 'run job.traced-child')
    expect(path(failed)).toEqual([
      'run job.traced-child',
      'job job.traced-child',
      'POST /api/v1/jobs',
      'run job.traced',
      'job job.traced',
      'POST /api/v1/jobs',
    ])
    expect(failed?.status).toMatchObject({ code: 2, message: 'failed' })
    const [run] = ofTrace(TRACE).filter((span) => span.name === 'run job.traced')
    expect(seen).toEqual([`00-${TRACE}-${run?.spanId}-01`])
    expect(run && attribute(run, 'wheelhouse.worker.id')).toBe('traced')
    const request = ofTrace(TRACE).find((span) => span.parentSpanId === 'b7ad6b7169203331')
    expect(request?.name).toBe('POST /api/v1/jobs')
    expect(request && attribute(request, 'http.response.status_code')).toBe(200)
    for (const span of ofTrace(TRACE)) expect(BigInt(span.endTimeUnixNano) >= BigInt(span.startTimeUnixNano)).toBe(true)
    expect(new Set(resources).size).toBe(1)
    expect(resources[0]).toContain('wheelhouse-test')

    // The waterfall of what is stored knows the same spans by the same ids.
    const { body } = await world.call('GET', `/wheelhouse/api/v1/traces/${made.body.trace_id}/spans`)
    expect(body).toMatchObject({ traceId: made.body.trace_id, w3cTraceId: TRACE })
    const shown = new Map<string, string>(
      body.spans.map((span: { spanId: string; kind: string }) => [span.kind, span.spanId]),
    )
    expect(shown.get('run')).toBe(run?.spanId)
    expect(shown.get('job')).toBe(run?.parentSpanId)
  } finally {
    await worker.stop({ timeoutMs: 0 })
  }
})

test('a job that ends without having run has its spans too', async () => {
  const trace = '1af7651916cd43dd8448eb211c80319c'
  const headers = { traceparent: `00-${trace}-b7ad6b7169203331-01` }
  const made = await world.call('POST', '/api/v1/jobs', { body: { prompt: 'x', topic: 'job.nobody' }, headers })
  await world.call('POST', `/api/v1/jobs/${made.body.job_id}/cancel`)
  await expect
    .poll(() =>
      ofTrace(trace)
        .map(({ name }) => name)
        .toSorted(),
    )
    .toEqual(expect.arrayContaining(['POST /api/v1/jobs', 'job job.nobody', 'policy']))
  const [whole] = ofTrace(trace).filter((span) => span.name === 'job job.nobody')
  expect(whole?.status.message).toBe('cancelled')
})

test('the waterfall of a job that waits is open, and nobody else sees it', async () => {
  const made = await world.call('POST', '/api/v1/jobs', { body: { prompt: 'x', topic: 'job.waits' } })
  const { job_id: jobId, trace_id: traceId } = made.body
  const spans = (as?: string) =>
    world.call('GET', `/wheelhouse/api/v1/traces/${traceId}/spans`, as === undefined ? {} : { as })
  const { status, body } = await spans()
  expect(status).toBe(200)
  expect(body).toMatchObject({ truncated: false, endedAt: null, jobs: [{ id: jobId, parentJobId: null }] })
  const byKind = new Map(body.spans.map((span: { kind: string }) => [span.kind, span]))
  expect(byKind.get('job')).toMatchObject({ status: 'open', parentSpanId: null, endedAt: null, durationMs: null })
  expect(byKind.get('policy')).toMatchObject({ status: 'ok', name: 'ALLOW', durationMs: 0 })
  expect((await spans(world.b.keys.admin)).status).toBe(404)
  await world.call('POST', `/api/v1/jobs/${jobId}/cancel`)
  const ended = (await spans()).body
  expect(ended.endedAt).not.toBeNull()
  expect(ended.spans.find((span: { kind: string }) => span.kind === 'job')).toMatchObject({
    status: 'error',
    attributes: { state: 'CANCELLED', error: 'cancelled' },
  })
})
