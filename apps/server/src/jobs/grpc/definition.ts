import type { IncomingHttpHeaders } from 'node:http'
import type { Writable } from 'node:stream'
import {
  create,
  type DescMessage,
  type DescService,
  fromBinary,
  type Message,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf'
import {
  type handleUnaryCall,
  type Metadata,
  type ServerUnaryCall,
  type ServiceDefinition,
  status,
} from '@grpc/grpc-js'
import type { Fault } from '@wheelhouse/contract'
import type { Logger } from 'pino'

/** A generated service as grpc-js takes it. `as` serves it under another name with the same messages. */
export function definitionOf(service: DescService, as = service.typeName): ServiceDefinition {
  return Object.fromEntries(
    service.methods.map(({ name, localName, methodKind, input, output }) => [
      localName,
      {
        path: `/${as}/${name}`,
        requestStream: methodKind === 'client_streaming' || methodKind === 'bidi_streaming',
        responseStream: methodKind === 'server_streaming' || methodKind === 'bidi_streaming',
        requestSerialize: (message: Message) => Buffer.from(toBinary(input, message)),
        requestDeserialize: (bytes: Buffer) => fromBinary(input, bytes),
        responseSerialize: (message: Message) => Buffer.from(toBinary(output, message)),
        responseDeserialize: (bytes: Buffer) => fromBinary(output, bytes),
      },
    ]),
  )
}

/** Who calls, as far as the edge asks. */
export interface Caller {
  headers: IncomingHttpHeaders
  ip: string
  path: string
  signal: AbortSignal
}

/** A refusal with its gRPC code. */
export class Refusal extends Error {
  readonly code: status
  readonly metadata: Metadata | undefined

  constructor(code: status, message: string, metadata?: Metadata) {
    super(message)
    this.name = 'Refusal'
    this.code = code
    this.metadata = metadata
  }
}

/** What the handlers of all services stand on. */
export interface Ground {
  log: Logger
  /** Aborts when the server stops. */
  stopping: AbortSignal
}

/** The handler of one unary method, from a function that gives the reply or throws a Refusal. Anything else it throws is a defect. */
export function unary<I extends DescMessage, O extends DescMessage>(
  method: { input: I; output: O },
  { log, stopping }: Ground,
  run: (request: MessageShape<I>, caller: Caller) => Promise<MessageInitShape<O>>,
): handleUnaryCall<MessageShape<I>, MessageShape<O>> {
  async function answer(call: ServerUnaryCall<MessageShape<I>, MessageShape<O>>) {
    const gone = new AbortController()
    call.on('cancelled', () => gone.abort())
    const caller: Caller = {
      headers: headersOf(call.metadata),
      ip: addressOf(call.getPeer()),
      path: call.getPath(),
      signal: AbortSignal.any([gone.signal, stopping]),
    }
    try {
      return { reply: create(method.output, await run(call.request, caller)) }
    } catch (error) {
      if (!(error instanceof Refusal)) log.error({ err: error, path: caller.path }, 'A call met a defect')
      const { code, message, metadata } =
        error instanceof Refusal ? error : new Refusal(status.INTERNAL, 'internal error')
      return { refused: { code, details: message, ...(metadata ? { metadata } : {}) } }
    }
  }
  return async (call, callback) => {
    const { reply, refused } = await answer(call)
    callback(refused ?? null, reply)
  }
}

/** Ends a stream with the server, so that a caller who only waits does not hold the stop. */
export function endWith(stopping: AbortSignal, stream: Writable, last: () => void = () => undefined): void {
  const end = (): void => {
    last()
    stream.end()
  }
  stopping.addEventListener('abort', end, { once: true })
  stream.once('close', () => stopping.removeEventListener('abort', end))
}

/** jobs.md §18.1: metadata that names the caller, under the names of HTTP. */
function headersOf(metadata: Metadata): IncomingHttpHeaders {
  const text = (...names: string[]): string | undefined =>
    names.flatMap((name) => metadata.get(name)).find((value): value is string => typeof value === 'string')
  const headers = {
    authorization: text('authorization'),
    'x-api-key': text('x-api-key', 'api-key'),
    'x-tenant-id': text('x-tenant-id'),
    'x-on-behalf-of': text('x-on-behalf-of'),
    traceparent: text('traceparent'),
    'user-agent': text('user-agent'),
  }
  return Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined))
}

/** The address in a peer such as `127.0.0.1:4711` or `[::1]:4711`. */
const addressOf = (peer: string): string => peer.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')

/** jobs.md §30.1. */
export function codeOf(fault: Fault): status {
  if (fault.code === 'RES_IDEMPOTENCY_CONFLICT') return status.ALREADY_EXISTS
  switch (fault.status) {
    case 400:
    case 413:
    case 415:
    case 422:
      return status.INVALID_ARGUMENT
    case 401:
      return status.UNAUTHENTICATED
    case 403:
      return status.PERMISSION_DENIED
    case 404:
      return status.NOT_FOUND
    case 409:
      return status.FAILED_PRECONDITION
    case 429:
      return status.RESOURCE_EXHAUSTED
    case 502:
    case 503:
      return status.UNAVAILABLE
    case 504:
      return status.DEADLINE_EXCEEDED
    default:
      return status.INTERNAL
  }
}
