import type { Static, TObject, TSchema } from 'typebox'
import type { FaultCode } from './faults.ts'
import type { RateClass } from './rates.ts'

/** The four documented systems, and `native`: what Wheelhouse adds where no document fixes a form. */
export type Surface = 'platform' | 'fleet' | 'release' | 'jobs' | 'native'

export const SURFACES = ['platform', 'fleet', 'release', 'jobs', 'native'] as const satisfies readonly Surface[]

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'ANY'

/** Fleet's ranks (fleet.md §3.4), lowest first. */
export type Floor = 'VIEWER' | 'DEVELOPER' | 'OPERATOR' | 'ADMIN'

/** `public`: nobody is asked. `authenticated`: any live credential. Otherwise `resource:action`. There is no default. */
export type Permission = 'public' | 'authenticated' | `${string}:${string}`

/** How one declared field of a list may be used; `column` defaults to the snake case of the field's name. */
export interface ListField {
  type: 'text' | 'uuid' | 'number' | 'boolean' | 'time' | 'array' | 'map'
  sort?: boolean
  filter?: boolean
  /** The column may be empty; empty sorts last in both directions. */
  nullable?: boolean
}

/** What a list offers: which fields filter and sort, its default order, its page sizes, and its name on the wire. */
export interface ListSpec {
  fields: Readonly<Record<string, ListField>>
  /** `-field` is descending; `id` is always the implicit last key. */
  default: string
  pageSize?: number
  maxPageSize?: number
  /** Fleet: the name of the array beside `data`. */
  key?: string
  /** Fleet: the paging members are repeated at the top level (fleet.md §1.2, variant B). */
  flat?: boolean
}

export interface Endpoint {
  /** `http` answers once, `sse` streams text events, `ws` upgrades, `raw` answers with bytes of `produces`. */
  kind?: 'http' | 'sse' | 'ws' | 'raw'
  method: Method
  path: string
  group: string
  summary: string
  permission: Permission
  /** Fleet's documented minimum role; names the refusal and builds the roles' permission sets. */
  floor?: Floor
  rate: RateClass
  params?: TObject
  query?: TObject
  body?: TSchema
  /** The handler's value; for a list, one item. Envelopes are added by the surface (see wire.ts). */
  reply: TSchema
  /** Success status where it is not the surface's default. */
  status?: number
  /** A POST that makes something: 201 on the surfaces that say so. */
  creates?: true
  list?: ListSpec
  faults?: readonly FaultCode[]
  /** `none`: the handler opens what it needs (group commit, streams, long waits). Default: one transaction a request. */
  transaction?: 'write' | 'none'
  /** Audit verb, `resource.action`; default from the permission. `null`: not audited by the edge (reads, or audited inside). */
  verb?: `${string}.${string}` | null
  bodyLimitBytes?: number
  produces?: string
  /** Answers as text/plain too where `Accept` asks for it: with the member `text` of the reply. */
  text?: true
  /** Also takes `application/x-www-form-urlencoded`, as OAuth clients send. Never on endpoints that a cookie may reach. */
  form?: true
  /** Members of the body in which null is a value where the surface takes it for absence (jobs.md §1.6): documents and schemas. `*`: the whole body. */
  verbatim?: readonly string[]
  /** The body is of one of these media types, and the handler gets its bytes as they came. */
  bytes?: readonly string[]
  /** Header that carries an idempotency key is honoured by the edge; `own`: the handler does it (POST /jobs). */
  idempotency?: 'edge' | 'own'
  /** Not listed by the surface's document: an addition of Wheelhouse, or a call its real clients make. */
  beyondDocument?: true
}

export type Area = Readonly<Record<string, Endpoint>>

/** Declares one area of a surface. The identity function: it only pins literal types, so that handlers stay total. */
export function area<const A extends Area>(endpoints: A): A {
  return endpoints
}

type Part<E, K extends string> = E extends { [P in K]: infer S extends TSchema } ? Static<S> : undefined

export type Params<E extends Endpoint> = Part<E, 'params'>
export type Query<E extends Endpoint> = Part<E, 'query'>
export type Body<E extends Endpoint> = E extends { bytes: readonly string[] } ? Uint8Array : Part<E, 'body'>
export type Item<E extends Endpoint> = Static<E['reply']>

/** One page of a list, before the surface's envelope. `total` is exact up to 10,000 (decisions D1). */
export interface Page<T> {
  items: T[]
  page: number
  pageSize: number
  total: number
  totalExact: boolean
  next: string | null
}

/** What a handler of this endpoint returns. */
export type Value<E extends Endpoint> = E extends { list: ListSpec } ? Page<Item<E>> : Item<E>
