import type { Area, Body, Endpoint, ListSpec, Params, Query, Surface, Value } from '@wheelhouse/contract'
import type { WebSocket } from 'ws'
import type { AuditEntry } from '../audit/index.ts'
import type { Instant } from '../clock/index.ts'
import type { ListQuery, Tx } from '../db/index.ts'
import type { Principal } from '../identity/index.ts'

/** What a handler may know of the request beside its validated parts. */
export interface RequestFacts {
  id: string
  surface: Surface
  method: string
  /** The path without its query, as it came. */
  path: string
  ip: string
  userAgent: string
  traceId: string
  /** The span of this request in its trace, and the one that the caller made it in (16 hexadecimal digits each). */
  spanId: string
  parentSpanId?: string
  header(name: string): string | undefined
  /** Aborts when the caller goes away. */
  signal: AbortSignal
}

/** What a handler may say of the reply beside its value. */
export interface ReplyControls {
  status(code: number): void
  header(name: string, value: string): void
  /** Sets or, with an empty value, clears a cookie: HttpOnly, SameSite=Lax, Path=/, Secure under TLS. */
  cookie(name: string, value: string, maxAgeS: number): void
}

export type AuditNote = Partial<
  Pick<AuditEntry, 'resourceId' | 'before' | 'after' | 'metadata' | 'jobId' | 'environmentId' | 'releaseId' | 'verb'>
>

interface Base<E extends Endpoint> {
  params: Params<E>
  query: Query<E>
  body: Body<E>
  request: RequestFacts
  reply: ReplyControls
  now: Instant
  /** Adds to the audit row that the edge writes for this mutation. */
  audit(note: AuditNote): void
}

type WithPrincipal<E extends Endpoint> = E extends { permission: 'public' }
  ? { principal?: Principal }
  : { principal: Principal }
type WithTx<E extends Endpoint> = E extends { transaction: 'none' } | { permission: 'public' } | { kind: 'ws' | 'sse' }
  ? object
  : { tx: Tx }
type WithList<E extends Endpoint> = E extends { list: ListSpec } ? { list: ListQuery } : object
type WithStream<E extends Endpoint> = E extends { kind: 'sse' } ? { stream: EventStream } : object

/** What the handler of one endpoint gets. A list has its query, a transaction is there unless the declaration says `none`. */
export type Context<E extends Endpoint> = Base<E> & WithPrincipal<E> & WithTx<E> & WithList<E> & WithStream<E>

/** A text/event-stream in the making. Writes wait for the caller to read. */
export interface EventStream {
  send(event: { event?: string; id?: string; data: unknown }): Promise<void>
  comment(text: string): Promise<void>
  /** Aborts when the caller goes away or the server stops. */
  signal: AbortSignal
}

/** Bytes of the declared media type, or of another that the handler names. */
export interface RawReply {
  body: string | Buffer | NodeJS.ReadableStream
  contentType?: string
}

/** Called once the upgrade is done. Refusals are thrown before, while the answer is still HTTP. */
export type Upgraded = (socket: WebSocket) => void

export type Result<E extends Endpoint> = E extends { kind: 'ws' }
  ? Upgraded
  : E extends { kind: 'sse' }
    ? void
    : E extends { kind: 'raw' }
      ? RawReply
      : Value<E>

export type Handlers<A extends Area> = {
  [K in keyof A]: (context: Context<A[K]>) => Result<A[K]> | Promise<Result<A[K]>>
}

/** The same, as the edge calls it: the types were proved by `serve`. */
export type AnyHandler = (context: unknown) => unknown

export interface Bound {
  surface: Surface
  name: string
  endpoint: Endpoint
  handler: AnyHandler
}

/** Binds each endpoint of an area to its handler. Total: a missing handler, one too many or a wrong reply does not compile. */
export function serve<const A extends Area>(surface: Surface, endpoints: A, handlers: Handlers<A>): Bound[] {
  return Object.entries(endpoints).map(([name, endpoint]) => ({
    surface,
    name,
    endpoint,
    handler: handlers[name as keyof A] as AnyHandler,
  }))
}
