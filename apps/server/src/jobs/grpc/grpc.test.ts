import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create, type DescMessage, fromBinary, type MessageInitShape, type MessageShape } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { ServerReflection as AlphaReflection } from '@wheelhouse/contract/proto/alpha_pb'
import { CordumApi } from '@wheelhouse/contract/proto/api_pb'
import { ContextEngine, ContextMode } from '@wheelhouse/contract/proto/context_pb'
import {
  Health,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus as Serving,
} from '@wheelhouse/contract/proto/health_pb'
import {
  ServerReflection,
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
} from '@wheelhouse/contract/proto/reflection_pb'
import { DecisionType, SafetyKernel } from '@wheelhouse/contract/proto/safety_pb'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { selfSigned } from '../../testing/certificate.ts'
import { openWorld, type World } from '../../testing/world.ts'
import { definitionOf } from './definition.ts'
import { type GrpcServer, openGrpc } from './server.ts'

let world: World
let server: GrpcServer
let port: number
let client: Client

beforeAll(async () => {
  world = await openWorld()
  await vi.waitFor(async () => expect(await world.kernel.readiness.reasons()).toEqual([]), 20_000)
  server = openGrpc(world.kernel, world.http)
  port = await server.listen('127.0.0.1', 0)
  client = new Client(`127.0.0.1:${port}`, credentials.createInsecure())
})

afterAll(async () => {
  client.close()
  await server.close()
  await world.close()
})

interface Method<I extends DescMessage, O extends DescMessage> {
  name: string
  localName: string
  parent: (typeof CordumApi)['method'][keyof (typeof CordumApi)['method']]['parent']
  input: I
  output: O
}

/** One unary call; rejects with the ServiceError. `key: null` presents none. */
function call<I extends DescMessage, O extends DescMessage>(
  method: Method<I, O>,
  request: MessageInitShape<I>,
  { key = world.a.keys.operator, metadata = {} }: { key?: string | null; metadata?: Record<string, string> } = {},
): Promise<MessageShape<O>> {
  const sent = new Metadata()
  if (key !== null) sent.set('x-api-key', key)
  for (const [name, value] of Object.entries(metadata)) sent.set(name, value)
  const definition = definitionOf(method.parent)[method.localName]
  if (!definition) throw new Error(`${method.name} is not defined`)
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      definition.path,
      definition.requestSerialize,
      definition.responseDeserialize as (bytes: Buffer) => MessageShape<O>,
      create(method.input, request),
      sent,
      { deadline: performance.timeOrigin + performance.now() + 10_000 },
      (error, reply) => (error || !reply ? reject(error ?? new Error('no reply')) : resolve(reply)),
    )
  })
}

const refusal = async (made: Promise<unknown>): Promise<{ code: status; details: string }> => {
  const error = await made.then(
    () => undefined,
    (refused: ServiceError) => refused,
  )
  if (!error) throw new Error('The call was not refused')
  return { code: error.code, details: error.details }
}

const { submitJob, getJobStatus } = CordumApi.method

describe('SubmitJob', () => {
  test('makes the job that POST /api/v1/jobs would make, and its status follows', async () => {
    const made = await call(submitJob, {
      prompt: 'over gRPC',
      topic: 'job.default',
      priority: 'batch',
      orgId: world.a.slug,
      teamId: 'core',
      riskTags: ['write'],
      labels: { from: 'grpc' },
      actorType: 'service',
    })
    expect(made.jobId).not.toBe('')
    expect(made.traceId).not.toBe('')
    const { body } = await world.call('GET', `/api/v1/jobs/${made.jobId}`)
    expect(body).toMatchObject({
      id: made.jobId,
      trace_id: made.traceId,
      topic: 'job.default',
      tenant: world.a.slug,
      actor_type: 'service',
      risk_tags: ['write'],
      labels: { from: 'grpc' },
      context: { prompt: 'over gRPC', priority: 'batch' },
    })
    const found = await call(getJobStatus, { jobId: made.jobId })
    expect(found).toMatchObject({ jobId: made.jobId, status: body.state, resultPtr: body.result_ptr })
  })

  test('gives the first job again for the same key, and refuses the key for another request', async () => {
    const first = await call(submitJob, { prompt: 'once', idempotencyKey: 'grpc-1' })
    const again = await call(submitJob, { prompt: 'once', idempotencyKey: 'grpc-1' })
    expect(again).toMatchObject({ jobId: first.jobId, traceId: first.traceId })
    expect(await refusal(call(submitJob, { prompt: 'other', idempotencyKey: 'grpc-1' }))).toEqual({
      code: status.ALREADY_EXISTS,
      details: 'idempotency key already used',
    })
  })

  test('an invalid request does not use up its key', async () => {
    const bad = call(submitJob, { prompt: 'x', topic: 'nonsense', idempotencyKey: 'grpc-2' })
    expect(await refusal(bad)).toEqual({ code: status.INVALID_ARGUMENT, details: 'topic must start with job.' })
    await expect(call(submitJob, { prompt: 'x', idempotencyKey: 'grpc-2' })).resolves.toHaveProperty('jobId')
  })

  test.each([
    [{}, 'prompt is required'],
    [{ prompt: 'x', actorType: 'robot' }, "actor_type must be 'human' or 'service'"],
  ])('refuses %j in the words of the document', async (request, details) => {
    expect(await refusal(call(submitJob, request))).toEqual({ code: status.INVALID_ARGUMENT, details })
  })

  test('asks for a credential, takes it from each documented place, and for the right to submit', async () => {
    const submit = (options: Parameters<typeof call>[2]) => call(submitJob, { prompt: 'x' }, options)
    expect(await refusal(submit({ key: null }))).toEqual({ code: status.UNAUTHENTICATED, details: 'unauthorized' })
    expect(await refusal(submit({ key: 'wh_nobody' }))).toMatchObject({ code: status.UNAUTHENTICATED })
    const { operator, viewer } = world.a.keys
    await submit({ key: null, metadata: { 'api-key': operator } })
    await submit({ key: null, metadata: { authorization: `Bearer ${operator}` } })
    expect(await refusal(submit({ key: viewer }))).toMatchObject({ code: status.PERMISSION_DENIED })
    const { body } = await world.call('GET', '/api/v1/jobs?limit=500', { as: viewer })
    expect(body.items).not.toEqual([])
  })

  test('knows no other tenant than the credential', async () => {
    const denied = { code: status.PERMISSION_DENIED, details: 'tenant access denied' }
    expect(await refusal(call(submitJob, { prompt: 'x', orgId: world.b.slug }))).toEqual(denied)
    const metadata = { 'x-tenant-id': world.b.slug }
    expect(await refusal(call(submitJob, { prompt: 'x' }, { metadata }))).toEqual(denied)
  })
})

describe('GetJobStatus', () => {
  test('answers UNKNOWN for what is not there, which another tenant’s job is too', async () => {
    const theirs = await call(submitJob, { prompt: 'x' }, { key: world.b.keys.operator })
    expect(await call(getJobStatus, { jobId: theirs.jobId })).toMatchObject({ status: 'UNKNOWN', resultPtr: '' })
    expect(await call(getJobStatus, { jobId: 'never' })).toMatchObject({ jobId: 'never', status: 'UNKNOWN' })
    expect(await refusal(call(getJobStatus, { jobId: theirs.jobId }, { key: null }))).toMatchObject({
      code: status.UNAUTHENTICATED,
    })
  })
})

describe('SafetyKernel', () => {
  test('decides as the HTTP endpoints do, under each of its names', async () => {
    const { check, evaluate, explain, simulate } = SafetyKernel.method
    const { body } = await world.call('POST', '/api/v1/policy/evaluate', { body: { topic: 'job.default' } })
    for (const method of [check, evaluate, explain, simulate]) {
      const reply = await call(method, { topic: 'job.default', jobId: 'j-1' })
      expect(DecisionType[body.decision.replace('DECISION_TYPE_', '') as 'ALLOW']).toBe(reply.decision)
      expect(reply.policySnapshot).toBe(body.policySnapshot)
    }
    const safety = { safety: { denied_topics: ['job.default'] } }
    const effectiveConfig = Buffer.from(JSON.stringify(safety))
    const reply = await call(check, { topic: 'job.default', effectiveConfig })
    expect(reply.decision).toBe(DecisionType.DENY)
    expect(await refusal(call(check, { topic: 'job.x', effectiveConfig: Buffer.from('{') }))).toEqual({
      code: status.INVALID_ARGUMENT,
      details: 'effective_config is not JSON',
    })
    const { snapshots } = await call(SafetyKernel.method.listSnapshots, {})
    expect(snapshots).toContain(body.policySnapshot)
  })

  test('asks for a credential, and for a tenant that is its own', async () => {
    const { check, listSnapshots } = SafetyKernel.method
    const unauthenticated = { code: status.UNAUTHENTICATED, details: 'unauthorized' }
    expect(await refusal(call(check, { topic: 'job.default' }, { key: null }))).toEqual(unauthenticated)
    expect(await refusal(call(listSnapshots, {}, { key: null }))).toEqual(unauthenticated)
    expect(await refusal(call(check, { topic: 'job.default', tenant: world.b.slug }))).toMatchObject({
      code: status.PERMISSION_DENIED,
    })
  })
})

describe('ContextEngine', () => {
  const { buildWindow, updateMemory } = ContextEngine.method
  const payload = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value))

  test('remembers a chat for its tenant alone, and raw remembers nothing', async () => {
    const memoryId = 'mem:grpc'
    const turn = { memoryId, logicalPayload: payload({ prompt: 'hi' }), modelResponse: Buffer.from('hello') }
    await call(updateMemory, { ...turn, mode: ContextMode.RAW })
    await call(updateMemory, { ...turn, mode: ContextMode.CHAT })
    const asked = { memoryId: 'grpc', mode: ContextMode.CHAT, logicalPayload: payload({ message: 'and now' }) }
    const { messages, inputTokens, outputTokens } = await call(buildWindow, asked)
    expect(messages.map(({ role, content }) => `${role}: ${content}`)).toEqual([
      'user: hi',
      'assistant: hello',
      'user: and now',
    ])
    expect({ inputTokens, outputTokens }).toEqual({ inputTokens: 5, outputTokens: 1024 })
    const theirs = await call(buildWindow, asked, { key: world.b.keys.operator })
    expect(theirs.messages).toHaveLength(1)
    const { body } = await world.call('GET', '/api/v1/memory?key=mem:grpc:events')
    expect(body.json).toMatchObject({ redis_type: 'list', length: 2 })
  })

  test('asks for a credential and for the right to read or to write', async () => {
    expect(await refusal(call(buildWindow, {}, { key: null }))).toMatchObject({ code: status.UNAUTHENTICATED })
    expect(await refusal(call(buildWindow, {}, { key: world.a.keys.viewer }))).toMatchObject({
      code: status.PERMISSION_DENIED,
    })
    expect(await refusal(call(updateMemory, {}, { key: world.a.keys.user }))).toMatchObject({
      code: status.PERMISSION_DENIED,
    })
  })
})

test('a call whose time is over is told so, while the server still works on it', async () => {
  const { submitJob: method } = CordumApi.method
  const { path, requestSerialize, responseDeserialize } = definitionOf(method.parent)[method.localName] ?? {}
  if (!path || !requestSerialize || !responseDeserialize) throw new Error('SubmitJob is not defined')
  const late = await new Promise<ServiceError | null>((resolve) => {
    const sent = new Metadata()
    sent.set('x-api-key', world.a.keys.operator)
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      create(method.input, { prompt: 'x' }),
      sent,
      { deadline: performance.timeOrigin + performance.now() + 1 },
      (error) => resolve(error),
    )
  })
  expect(late?.code).toBe(status.DEADLINE_EXCEEDED)
})

describe('the standard services', () => {
  test('health says SERVING, of what is served alone, without a credential', async () => {
    for (const service of ['', CordumApi.typeName])
      expect(await call(Health.method.check, { service }, { key: null })).toMatchObject({ status: Serving.SERVING })
    expect(await refusal(call(Health.method.check, { service: 'no.such' }))).toMatchObject({ code: status.NOT_FOUND })
  })

  test('a watcher hears the present state, and the end of the server', async () => {
    const other = openGrpc(world.kernel, world.http)
    const watcher = new Client(`127.0.0.1:${await other.listen('127.0.0.1', 0)}`, credentials.createInsecure())
    const { path, requestSerialize, responseDeserialize } = definitionOf(Health)['watch'] ?? {}
    if (!path || !requestSerialize || !responseDeserialize) throw new Error('Watch is not defined')
    const stream = watcher.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      create(Health.method.watch.input, {}),
    )
    const heard: Serving[] = []
    stream.on('data', (each: HealthCheckResponse) => heard.push(each.status))
    await once(stream, 'data')
    const ended = once(stream, 'end')
    await other.close()
    await ended
    watcher.close()
    expect(heard).toEqual([Serving.SERVING, Serving.NOT_SERVING])
  })

  test.each([ServerReflection.typeName, AlphaReflection.typeName])(
    '%s lists the services and describes them with all that they import',
    async (typeName) => {
      const { path, requestSerialize, responseDeserialize } =
        definitionOf(ServerReflection, typeName)['serverReflectionInfo'] ?? {}
      if (!path || !requestSerialize || !responseDeserialize) throw new Error('The method is not defined')
      const stream = client.makeBidiStreamRequest<ServerReflectionRequest, ServerReflectionResponse>(
        path,
        requestSerialize,
        responseDeserialize,
      )
      const ask = async (
        messageRequest: MessageInitShape<typeof ServerReflectionRequestSchema>['messageRequest'],
      ): Promise<ServerReflectionResponse['messageResponse']> => {
        const next = once(stream, 'data')
        stream.write(create(ServerReflectionRequestSchema, { messageRequest }))
        const [reply] = (await next) as [ServerReflectionResponse]
        return reply.messageResponse
      }
      const listed = await ask({ case: 'listServices', value: '' })
      if (listed.case !== 'listServicesResponse') throw new Error(`listed as ${listed.case}`)
      expect(listed.value.service.map(({ name }) => name)).toEqual([
        'cordum.v1.CordumApi',
        'cordum.agent.v1.SafetyKernel',
        'cordum.v1.ContextEngine',
        'grpc.health.v1.Health',
        'grpc.reflection.v1.ServerReflection',
        'grpc.reflection.v1alpha.ServerReflection',
      ])
      const described = await ask({ case: 'fileContainingSymbol', value: 'cordum.agent.v1.SafetyKernel.Check' })
      if (described.case !== 'fileDescriptorResponse') throw new Error(`described as ${described.case}`)
      const files = described.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes))
      const names = files.map(({ name }) => name)
      expect(names[0]).toBe('cordum/agent/v1/safety.proto')
      expect(names).toEqual(expect.arrayContaining(files.flatMap(({ dependency }) => dependency)))
      expect(await ask({ case: 'fileContainingSymbol', value: 'no.Such' })).toMatchObject({
        case: 'errorResponse',
        value: { errorCode: status.NOT_FOUND },
      })
      stream.end()
      stream.resume()
      await once(stream, 'end')
    },
  )
})

test('a port that is taken is named', async () => {
  const second = openGrpc(world.kernel, world.http)
  await expect(second.listen('127.0.0.1', port)).rejects.toMatchObject({ code: 'EADDRINUSE', port })
  await second.close()
})

test('speaks TLS, and nothing else, where a certificate is set', async () => {
  const { cert, key } = selfSigned()
  const folder = mkdtempSync(join(tmpdir(), 'wh-grpc-'))
  const grpcTls = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
  writeFileSync(grpcTls.cert, cert)
  writeFileSync(grpcTls.key, key)
  const door = openGrpc({ ...world.kernel, config: { ...world.kernel.config, grpcTls } }, world.http)
  const address = `localhost:${await door.listen('127.0.0.1', 0)}`
  const before = client
  try {
    client = new Client(address, credentials.createSsl(Buffer.from(cert)))
    await expect(call(submitJob, { prompt: 'sealed' })).resolves.toHaveProperty('jobId')
    client.close()
    client = new Client(address, credentials.createInsecure())
    expect(await refusal(call(submitJob, { prompt: 'open' }))).toMatchObject({ code: status.UNAVAILABLE })
  } finally {
    client.close()
    client = before
    await door.close()
    rmSync(folder, { recursive: true })
  }
})

test('one budget counts both doors', async () => {
  const small = await openWorld({ rateScale: 0.02, movableClock: true })
  const door = openGrpc(small.kernel, small.http)
  const taken = await door.listen('127.0.0.1', 0)
  const before = client
  client = new Client(`127.0.0.1:${taken}`, credentials.createInsecure())
  try {
    const key = small.a.keys.operator
    await small.call('GET', '/api/v1/jobs', { as: key })
    await call(getJobStatus, { jobId: 'x' }, { key })
    expect(await refusal(call(getJobStatus, { jobId: 'x' }, { key }))).toEqual({
      code: status.RESOURCE_EXHAUSTED,
      details: 'rate limited',
    })
  } finally {
    client.close()
    client = before
    await door.close()
    await small.close()
  }
})
