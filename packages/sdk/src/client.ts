import {
  type Area,
  type Body,
  type contract,
  type Endpoint,
  type Item,
  type ListSpec,
  type Params,
  type Query,
  type Surface,
} from '@wheelhouse/contract'
import { ApiError, readError } from './api-error.ts'
import { readEvents, type ServerEvent } from './event-stream.ts'

/** One page, whatever the surface calls its members. */
export interface ListReply<T> {
  items: T[]
  total: number
  /** Where the next page begins, for surfaces that page by cursor. */
  next: string | null
}

type Given<K extends string, V> = [V] extends [undefined]
  ? object
  : undefined extends V
    ? Partial<Record<K, V>>
    : object extends V
      ? { [P in K]?: V }
      : Record<K, V>

type Paging<E> = E extends { list: ListSpec }
  ? { page?: number; pageSize?: number; sort?: string; filter?: string; cursor?: string }
  : object

/** What a call of this endpoint takes: path parameters, query and body as they are declared. */
export type Input<E extends Endpoint> = Given<'params', Params<E>> &
  ([Query<E>] extends [undefined] ? { query?: Paging<E> } : { query?: Partial<NonNullable<Query<E>>> & Paging<E> }) &
  Given<'body', Body<E>> & { headers?: Readonly<Record<string, string>>; signal?: AbortSignal }

/** The value of an endpoint, out of the surface's envelope. */
export type Reply<E extends Endpoint> = E extends { list: ListSpec } ? ListReply<Item<E>> : Item<E>

type AreaClient<A extends Area> = {
  [K in keyof A]: A[K] extends Endpoint ? (input: Input<A[K]>) => Promise<Reply<A[K]>> : never
}

type SurfaceClient<S> = { [K in keyof S]: S[K] extends Area ? AreaClient<S[K]> : never }

/** Every endpoint as a typed function: `client.fleet.instances.listInstances({ query: { status: 'RUNNING' } })`. */
export type Client = { [S in keyof typeof contract]: SurfaceClient<(typeof contract)[S]> } & {
  /** Calls any path and gives the answer as it came; refusals are thrown all the same. */
  request(method: string, path: string, options?: RawOptions): Promise<RawAnswer>
  /** Calls a declared endpoint and gives both the answer as it came and the value inside its envelope. */
  exchange<E extends Endpoint>(surface: Surface, endpoint: E, input: Input<E>): Promise<Exchange<E>>
  /**
   * The events of a stream, across broken connections: it connects again with Last-Event-ID until the caller stops reading, the
   * signal aborts, or the server refuses for good (thrown as ApiError).
   */
  events(path: string, options?: EventOptions): AsyncGenerator<ServerEvent, void, undefined>
}

/** An answer as it came, and the value that its declaration promises. */
export interface Exchange<E extends Endpoint> extends RawAnswer {
  value: Reply<E>
}

export interface EventOptions extends Omit<RawOptions, 'body'> {
  surface?: Surface
  /** Where to begin: only what came after this event. */
  lastEventId?: string
  /** Called each time the stream stands: 0 for the first time, then how often it had to be joined again. */
  onOpen?: (again: number) => void
}

export interface RawOptions {
  query?: Readonly<Record<string, unknown>>
  body?: unknown
  headers?: Readonly<Record<string, string>>
  signal?: AbortSignal
}

export interface RawAnswer {
  status: number
  headers: Headers
  body: unknown
}

export interface ClientOptions {
  /** Where the server is, such as `http://127.0.0.1:8080`. In a browser: '' for the page's own origin. */
  url: string
  /** The credential of each call; asked anew each time, so that it may be renewed. Absent: the browser's cookie. */
  token?: () => string | undefined | Promise<string | undefined>
  /** Added to every request. */
  headers?: Readonly<Record<string, string>>
  /** How often a refused read is tried again when the server says how long to wait (429, 503). Default 2. */
  retries?: number
  fetch?: typeof globalThis.fetch
}

const pathOf = (template: string, params: Readonly<Record<string, unknown>> | undefined): string =>
  template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(params?.[name] ?? '')))

function queryOf(query: Readonly<Record<string, unknown>> | undefined): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value === undefined || value === null || value === '') continue
    for (const each of Array.isArray(value) ? value : [value]) search.append(name, String(each))
  }
  const text = search.toString()
  return text === '' ? '' : `?${text}`
}

/** The value inside the surface's envelope (contract, wire.ts). */
function unwrap(surface: Surface, endpoint: Endpoint, body: unknown): unknown {
  const members = body as Record<string, unknown>
  if (surface === 'release' && typeof body === 'object' && body !== null && 'data' in body) {
    if (!endpoint.list) return members['data']
    const meta = members['meta'] as { pagination?: { totalItems: number } } | undefined
    return { items: members['data'], total: meta?.pagination?.totalItems ?? 0, next: null }
  }
  if (!endpoint.list) return body
  if (surface === 'fleet') {
    const pagination = members['pagination'] as { total: number } | undefined
    return { items: members['data'], total: pagination?.total ?? 0, next: null }
  }
  if (Array.isArray(body)) return { items: body, total: body.length, next: null }
  const items = members['items'] as unknown[]
  return { items, total: members['total'] ?? items.length, next: members['next'] ?? members['next_cursor'] ?? null }
}

/** A client of one server. `declared` is the contract's tree; functions are made as they are asked for. */
export function createClient(declared: typeof contract, options: ClientOptions): Client {
  const call = options.fetch ?? globalThis.fetch.bind(globalThis)

  async function open(
    method: string,
    path: string,
    { query, body, headers, signal }: RawOptions,
    surface?: Surface,
  ): Promise<Response> {
    const token = await options.token?.()
    return call(`${options.url}${path}${queryOf(query)}`, {
      method,
      credentials: 'same-origin',
      headers: {
        accept: 'application/json',
        ...(body === undefined || body instanceof FormData ? {} : { 'content-type': 'application/json' }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(surface === undefined ? {} : { 'x-wheelhouse-surface': surface }),
        ...options.headers,
        ...headers,
      },
      ...(body === undefined ? {} : { body: isRaw(body) ? body : JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    })
  }

  async function send(method: string, path: string, raw: RawOptions, surface?: Surface): Promise<RawAnswer> {
    const response = await open(method, path, raw, surface)
    const parsed = parse(await response.text(), response.headers.get('content-type') ?? '')
    if (!response.ok) throw readError(response, parsed)
    return { status: response.status, headers: response.headers, body: parsed }
  }

  async function patient(method: string, path: string, raw: RawOptions, surface?: Surface): Promise<RawAnswer> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await send(method, path, raw, surface)
      } catch (error) {
        const again =
          error instanceof ApiError &&
          error.retryAfterMs !== undefined &&
          error.retryAfterMs <= 10_000 &&
          method === 'GET'
        if (!again || attempt >= (options.retries ?? 2)) throw error
        await pause(error.retryAfterMs ?? 0, raw.signal)
        raw.signal?.throwIfAborted()
      }
    }
  }

  async function exchange(
    surface: Surface,
    endpoint: Endpoint,
    input: RawOptions & { params?: Readonly<Record<string, unknown>> },
  ): Promise<RawAnswer & { value: unknown }> {
    const method = endpoint.method === 'ANY' ? 'POST' : endpoint.method
    const answer = await patient(method, pathOf(endpoint.path, input.params), input, surface)
    return { ...answer, value: unwrap(surface, endpoint, answer.body) }
  }

  const endpointCall =
    (surface: Surface, endpoint: Endpoint) => async (input: RawOptions & { params?: Record<string, unknown> }) =>
      (await exchange(surface, endpoint, input)).value

  async function* events(path: string, given: EventOptions = {}): AsyncGenerator<ServerEvent, void, undefined> {
    const { surface, onOpen, signal, ...raw } = given
    let lastEventId = given.lastEventId ?? ''
    let opened = 0
    for (let failures = 0; ; failures += 1) {
      if (signal?.aborted) return
      try {
        const headers = { ...raw.headers, accept: 'text/event-stream', ...resumeFrom(lastEventId) }
        const response = await open('GET', path, { query: raw.query, headers, signal }, surface)
        if (!response.ok || !response.body)
          throw readError(response, parse(await response.text(), response.headers.get('content-type') ?? ''))
        onOpen?.(opened)
        opened += 1
        failures = 0
        for await (const event of readEvents(response.body)) {
          if (event.id !== '') lastEventId = event.id
          yield event
        }
      } catch (error) {
        if (signal?.aborted) return
        // The first connection tells whether this can work at all; a later one may meet a server that is just starting.
        if (opened === 0 || (error instanceof ApiError && error.status < 500 && error.status !== 429)) throw error
      }
      await pause(Math.min(15_000, 500 * 2 ** failures), signal)
    }
  }

  const tree = Object.fromEntries(
    Object.entries(declared).map(([surface, areas]) => [
      surface,
      Object.fromEntries(
        Object.entries(areas as Record<string, Area>).map(([name, endpoints]) => [
          name,
          Object.fromEntries(
            Object.entries(endpoints).map(([key, endpoint]) => [key, endpointCall(surface as Surface, endpoint)]),
          ),
        ]),
      ),
    ]),
  )
  return {
    ...tree,
    request: (method: string, path: string, raw: RawOptions = {}) => patient(method, path, raw),
    exchange,
    events,
  } as unknown as Client
}

/** Text and forms go as they are. The type of a text that is not JSON is named in a header; that of a form, with its boundary, is set by fetch. */
const isRaw = (body: unknown): body is string | FormData => typeof body === 'string' || body instanceof FormData

function parse(text: string, contentType: string): unknown {
  if (text === '') return null
  return contentType.includes('json') ? (JSON.parse(text) as unknown) : text
}

const resumeFrom = (lastEventId: string): Readonly<Record<string, string>> =>
  lastEventId === '' ? {} : { 'last-event-id': lastEventId }

/** Waits, or less when the signal aborts. */
const pause = (ms: number, signal: AbortSignal | undefined): Promise<void> =>
  new Promise((resolve) => {
    const over = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', over)
      resolve()
    }
    const timer = setTimeout(over, ms)
    signal?.addEventListener('abort', over)
    if (signal?.aborted) over()
  })
