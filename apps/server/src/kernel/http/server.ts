import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo } from 'node:net'
import { Fault, type Surface, SURFACES } from '@wheelhouse/contract'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { clientAddress } from './client-address.ts'
import type { Bound, RequestFacts } from './context.ts'
import type { Dialect } from './dialect.ts'
import { admit, contextOf, type Edge, type Passage, perform, refusal, type Sent } from './edge.ts'
import { readParts } from './parts.ts'
import { openEventStream } from './event-stream.ts'
import { withEncodedTail } from './raw-tail.ts'
import { chooseSurface } from './same-path.ts'
import { acceptUpgrades } from './upgrade.ts'
import { newTrace, readTraceparent } from '../traces/index.ts'

export interface HttpOptions {
  edge: Edge
  bound: readonly Bound[]
  trustedProxies: readonly string[]
  /** Bytes of a body where the endpoint does not say otherwise. */
  bodyLimitBytes: number
  /** Serves what no endpoint owns: the console's files. Returns false to let the 404 stand. */
  fallback?(request: IncomingMessage, response: ServerResponse, path: string): Promise<boolean>
}

export interface HttpServer {
  /** For tests: a request without a socket. */
  app: FastifyInstance
  /** What it serves, as it was declared. */
  bound: readonly Bound[]
  /** Its checks, for doors that are not HTTP (`callEndpoint`). */
  edge: Edge
  /** Listens; with `surface`, only that surface's dialect answers there. Returns the port that was taken. */
  listen(port: number, host: string, surface?: Surface): Promise<number>
  /** Stops taking connections, ends streams and sockets, waits for requests that run (bounded by the caller). */
  close(): Promise<void>
}

declare module 'fastify' {
  interface FastifyRequest {
    passage: Passage | undefined
    arrival: RequestFacts
  }
}

/** platform.md §1.5, on every answer of every surface (unification §9). */
export const SECURITY_HEADERS = {
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'X-XSS-Protection': '1; mode=block',
  'Strict-Transport-Security': 'max-age=31536000; includeSubDomains',
  'Referrer-Policy': 'strict-origin-when-cross-origin',
} as const

/** Which surface a request was sent to on purpose: a port of its own, or the path's first segment. */
const forced = new WeakMap<IncomingMessage, Surface>()

const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/

/** Builds the one HTTP server of all surfaces from what was declared and bound. It does not listen yet. */
export function buildHttp(options: HttpOptions): HttpServer {
  const { edge } = options
  const stopping = new AbortController()
  const addressOf = clientAddress(options.trustedProxies)
  const app = Fastify({
    logger: false,
    bodyLimit: options.bodyLimitBytes,
    // Its own ids are not used: `arrival` has the one that callers see.
    genReqId: () => '',
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 1024 },
    // A path that cannot even be decoded meets no route and no hook.
    frameworkErrors(error, request, reply) {
      const arrival = facts(request, forced.get(request.raw) ?? 'native')
      reply.headers({ ...SECURITY_HEADERS, 'X-Request-Id': arrival.id })
      void write(reply, refusal(edge, edgeFault(error), dialectOf(request, arrival.path), arrival, {}))
    },
    rewriteUrl(request) {
      const url = request.url ?? '/'
      const match = /^\/(platform|fleet|release|jobs)(\/(?:api|ws|health|metrics).*)$/.exec(url)
      if (!match) return withEncodedTail(url)
      forced.set(request as IncomingMessage, match[1] as Surface)
      return withEncodedTail(match[2] ?? url)
    },
  })
  app.decorateRequest('passage', undefined)
  // Every type is read as bytes: JSON is parsed after the caller was found to be allowed to send it.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))

  const facts = (request: FastifyRequest, surface: Surface): RequestFacts =>
    factsOf(request.raw, surface, addressOf, stopping.signal)
  const dialectFor = (request: FastifyRequest): Dialect => {
    const passage = request.passage
    if (passage) return passage.dialect
    const path = request.url.split('?')[0] ?? '/'
    return edge.dialects[forced.get(request.raw) ?? (path.startsWith('/wheelhouse/') ? 'native' : 'fleet')]
  }

  const methods = knownPaths(options.bound)
  /** Of whoever knows the path, whatever the method. */
  const dialectOf = (request: FastifyRequest, path: string): Dialect => {
    const owner = forced.get(request.raw) ?? SURFACES.find((surface) => methods(path, surface).length > 0)
    return owner ? edge.dialects[owner] : dialectFor(request)
  }

  app.addHook('onRequest', async (request, reply) => {
    const surface = forced.get(request.raw) ?? 'native'
    request.arrival = facts(request, surface)
    reply.headers({ ...SECURITY_HEADERS, 'X-Request-Id': request.arrival.id })
    cors(edge, request, reply)
    const candidates = (request.routeOptions.config as { bound?: readonly Bound[] }).bound
    if (!candidates) return
    const only = forced.get(request.raw)
    const usable = only ? candidates.filter((each) => each.surface === only) : candidates
    if (usable.length === 0) throw new Fault('RES_ROUTE_NOT_FOUND')
    const path = request.arrival.path
    const bound = chooseSurface(usable, request.headers, path.slice(path.lastIndexOf('/') + 1))
    request.arrival = { ...request.arrival, surface: bound.surface }
    const passage: Passage = {
      bound,
      dialect: edge.dialects[bound.surface],
      facts: request.arrival,
      headers: {},
      note: {},
    }
    request.passage = passage
    const declared = Number(request.headers['content-length'] ?? 0)
    if (declared > (bound.endpoint.bodyLimitBytes ?? options.bodyLimitBytes)) throw new Fault('VAL_BODY_TOO_LARGE')
    await admit(edge, passage, request.raw, request.query as Record<string, unknown>, false)
  })

  for (const [key, candidates] of byRoute(options.bound)) {
    const [method = 'GET', path = '/'] = key.split(' ')
    app.route({
      method: method === 'ANY' ? ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] : method,
      url: path,
      bodyLimit: Math.max(...candidates.map(({ endpoint }) => endpoint.bodyLimitBytes ?? options.bodyLimitBytes)),
      config: { bound: candidates },
      handler: (request, reply) => answer(edge, request, reply, stopping.signal),
    })
  }

  app.setErrorHandler((error, request, reply) => {
    const arrival = request.arrival ?? facts(request, 'native')
    void write(reply, refusal(edge, edgeFault(error), dialectFor(request), arrival, request.passage?.headers ?? {}))
  })
  app.setNotFoundHandler(async (request, reply) => {
    const { path } = request.arrival
    if (request.method === 'OPTIONS') return reply.code(204).send()
    // A path that some surface knows is answered in its manner, whatever the method.
    const dialect = dialectOf(request, path)
    const allow = methods(path, dialect.surface)
    if (allow.length > 0 && dialect.knowsMethodNotAllowed) {
      reply.header('Allow', allow.join(', '))
      return write(reply, refusal(edge, new Fault('RES_METHOD_NOT_ALLOWED', { allow }), dialect, request.arrival, {}))
    }
    const isApi = /^\/(api|wheelhouse|ws)(\/|$)/.test(path)
    if (!isApi && options.fallback && (request.method === 'GET' || request.method === 'HEAD')) {
      reply.hijack()
      for (const [name, value] of Object.entries(reply.getHeaders()))
        if (value !== undefined) reply.raw.setHeader(name, value)
      if (await options.fallback(request.raw, reply.raw, path)) return reply
      const sent = refusal(edge, new Fault('RES_ROUTE_NOT_FOUND'), dialect, request.arrival, {})
      reply.raw.writeHead(sent.status, { 'Content-Type': sent.contentType ?? 'application/json' }).end(sent.body)
      return reply
    }
    return write(
      reply,
      refusal(
        edge,
        new Fault('RES_ROUTE_NOT_FOUND', undefined, { message: `No route for ${request.method} ${path}` }),
        dialect,
        request.arrival,
        {},
      ),
    )
  })

  const listeners: Server[] = []
  const sockets = acceptUpgrades({
    edge,
    bound: options.bound,
    facts: (raw, surface) => factsOf(raw, surface, addressOf, stopping.signal),
    forced: (raw) => forced.get(raw),
  })
  return {
    app,
    bound: options.bound,
    edge,
    async listen(port, host, surface) {
      await app.ready()
      const server = createServer((request, response) => {
        if (surface) forced.set(request, surface)
        // Who keeps asking on a connection that stays open would hold the stop for ever.
        if (stopping.signal.aborted) response.shouldKeepAlive = false
        app.routing(request, response)
      })
      server.headersTimeout = 5_000
      server.requestTimeout = 60_000
      server.keepAliveTimeout = 65_000
      server.on('upgrade', (request, socket, head) => {
        if (surface) forced.set(request, surface)
        sockets.upgrade(request, socket, head)
      })
      listeners.push(server)
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, host, () => resolve())
      })
      return (server.address() as AddressInfo).port
    },
    async close() {
      stopping.abort(new Fault('SYS_SHUTTING_DOWN'))
      sockets.close()
      edge.watch.close()
      await Promise.all(
        listeners.map(
          (server) =>
            new Promise<void>((resolve) => {
              server.close(() => resolve())
              server.closeIdleConnections()
            }),
        ),
      )
      await app.close()
    },
  }
}

function factsOf(
  raw: IncomingMessage,
  surface: Surface,
  addressOf: ReturnType<typeof clientAddress>,
  signal: AbortSignal,
): RequestFacts {
  const { headers } = raw
  const header = (name: string): string | undefined => {
    const value = headers[name.toLowerCase()]
    return Array.isArray(value) ? value[0] : value
  }
  const given = header('x-request-id')
  const parent = readTraceparent(header('traceparent'))
  const trace = newTrace(parent?.traceId)
  return {
    id: given !== undefined && REQUEST_ID.test(given) ? given : randomUUID(),
    surface,
    method: raw.method ?? 'GET',
    path: (raw.url ?? '/').split('?')[0] ?? '/',
    ip: addressOf(raw.socket?.remoteAddress ?? '127.0.0.1', headers['x-forwarded-for'], headers['x-real-ip']),
    userAgent: (header('user-agent') ?? '').slice(0, 512),
    traceId: trace.traceId,
    spanId: trace.spanId,
    ...(parent ? { parentSpanId: parent.spanId } : {}),
    header,
    signal,
  }
}

/** With a signal that aborts when the caller goes away, made once somebody asks for it: most handlers answer without. */
function untilGone(facts: RequestFacts, response: ServerResponse, stop: AbortSignal): RequestFacts {
  let signal: AbortSignal | undefined
  return {
    ...facts,
    get signal() {
      if (signal) return signal
      const gone = new AbortController()
      const leave = (): void => {
        if (!response.writableEnded) gone.abort()
      }
      // Of the reply, not of the request: a request closes as soon as its body has been read.
      if (response.destroyed) leave()
      else response.once('close', leave)
      return (signal = AbortSignal.any([gone.signal, stop]))
    },
  }
}

async function answer(
  edge: Edge,
  request: FastifyRequest,
  reply: FastifyReply,
  stop: AbortSignal,
): Promise<FastifyReply> {
  const { passage } = request
  if (!passage) throw new Error('A route answered without having been admitted')
  passage.facts = untilGone(passage.facts, reply.raw, stop)
  const rawBody = Buffer.isBuffer(request.body) ? request.body : undefined
  const parts = readParts(edge.cursorSecret, passage, {
    params: request.params as object,
    query: request.query as Record<string, unknown>,
    body: rawBody,
  })
  if (passage.bound.endpoint.kind !== 'sse') return write(reply, await perform(edge, passage, parts, rawBody))
  reply.hijack()
  const headers = Object.fromEntries(Object.entries(reply.getHeaders()).map(([name, value]) => [name, String(value)]))
  let stream: ReturnType<typeof openEventStream> | undefined
  const ended = new AbortController()
  const leave = passage.principal ? edge.watch.add(passage.principal, () => ended.abort()) : () => undefined
  try {
    const context = contextOf(edge, passage, parts)
    // The stream opens with its first use, so that a refusal before it is still an ordinary answer.
    const lazy = {
      ...context,
      get stream() {
        return (stream ??= openEventStream(
          reply.raw,
          { ...headers, ...passage.headers },
          AbortSignal.any([stop, ended.signal]),
        ))
      },
    }
    await passage.bound.handler(lazy)
    stream?.end()
  } catch (error) {
    if (stream) {
      if (!stream.signal.aborted) edge.log.error({ err: error, requestId: passage.facts.id }, 'An event stream broke')
      stream.end()
    } else {
      const sent = refusal(edge, error, passage.dialect, passage.facts, { ...headers, ...passage.headers })
      reply.raw
        .writeHead(sent.status, { ...sent.headers, 'Content-Type': sent.contentType ?? 'application/json' })
        .end(sent.body)
    }
  } finally {
    leave()
  }
  return reply
}

function write(reply: FastifyReply, sent: Sent): FastifyReply {
  reply.code(sent.status).headers(sent.headers)
  if (sent.contentType !== undefined && sent.body !== null) reply.type(sent.contentType)
  return reply.send(sent.body ?? undefined)
}

/** What Fastify itself refuses, in our words. */
function edgeFault(error: unknown): unknown {
  if (error instanceof Fault) return error
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return new Fault('VAL_BODY_TOO_LARGE')
  if (
    code === 'FST_ERR_CTP_INVALID_CONTENT_LENGTH' ||
    code === 'FST_ERR_BAD_URL' ||
    code === 'ERR_HTTP_REQUEST_TIMEOUT'
  )
    return new Fault('VAL_SCHEMA', {}, { message: 'The request is malformed', cause: error })
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return new Fault('VAL_MEDIA_TYPE', {}, { cause: error })
  return error
}

function cors(edge: Edge, request: FastifyRequest, reply: FastifyReply): void {
  const { origin, host } = request.headers
  if (origin === undefined) return
  if (!edge.origins.allows(origin, host)) {
    if (request.method === 'OPTIONS') throw new Fault('PERM_ORIGIN')
    return
  }
  const { exposedHeaders, allowedHeaders } = edge.dialects[request.arrival.surface]
  reply.headers({
    'Access-Control-Allow-Origin': origin,
    Vary: 'Origin',
    'Access-Control-Allow-Credentials': 'true',
    'Access-Control-Expose-Headers': exposedHeaders.join(', '),
  })
  if (request.method !== 'OPTIONS') return
  reply.headers({
    'Access-Control-Allow-Methods': 'GET, POST, PUT, PATCH, DELETE, OPTIONS',
    'Access-Control-Allow-Headers': [
      ...new Set([...allowedHeaders, ...SURFACES.flatMap((each) => edge.dialects[each].allowedHeaders)]),
    ].join(', '),
    'Access-Control-Max-Age': '600',
  })
}

/** `{id}` → `:id`, the catch-all `{path}` at the end of an ANY route → `*`. */
const fastifyPath = (path: string, catchAll: boolean): string =>
  (catchAll ? path.replace(/\{path\}$/, '*') : path).replace(/\{(\w+)\}/g, ':$1')

function byRoute(bound: readonly Bound[]): Map<string, Bound[]> {
  const routes = new Map<string, Bound[]>()
  const shape = (key: string): string => key.replace(/:\w+/g, ':')
  const seen = new Map<string, string>()
  for (const each of bound) {
    if (each.endpoint.kind === 'ws') continue
    const key = `${each.endpoint.method} ${fastifyPath(each.endpoint.path, each.endpoint.method === 'ANY')}`
    const route = seen.get(shape(key)) ?? key
    seen.set(shape(key), route)
    routes.set(route, [...(routes.get(route) ?? []), each])
  }
  return routes
}

/** The methods that a path knows, for 405. */
function knownPaths(bound: readonly Bound[]): (path: string, surface: Surface) => string[] {
  const patterns = bound.map(({ surface, endpoint }) => ({
    surface,
    method: endpoint.method,
    pattern: new RegExp(`^${endpoint.path.replace(/\{\w+\}/g, '[^/]+')}$`),
  }))
  return (path, surface) => [
    ...new Set(
      patterns.filter((each) => each.surface === surface && each.pattern.test(path)).map(({ method }) => method),
    ),
  ]
}
