import { type Declared, declared } from './contract.ts'
import type { Endpoint, Surface } from './endpoint.ts'
import { type FaultCode, faults } from './faults.ts'
import { wireReply } from './wire.ts'

export interface OpenApiOptions {
  title: string
  version: string
  /** Absent: everything that is declared. */
  surface?: Surface
  /** Common beginning of all paths, which becomes the one server: `/api/v1`. */
  base?: string
  /** Which endpoints to show; default: all. */
  show?(endpoint: Endpoint): boolean
}

export interface OpenApiDocument {
  openapi: '3.1.0'
  info: { title: string; version: string }
  servers: { url: string }[]
  tags: { name: string }[]
  paths: Record<string, Record<string, unknown>>
  components: Record<string, Record<string, unknown>>
}

const ANY = ['get', 'post', 'put', 'patch', 'delete'] as const

/** What a refusal looks like on each surface: platform.md §1.2, fleet.md §1.2, release.md §2, jobs.md §1.5, RFC 9457. */
const ERROR: Readonly<Record<Surface, object>> = {
  platform: { type: 'object', required: ['error'], properties: { error: { type: 'string' } } },
  fleet: {
    type: 'object',
    required: ['error', 'message', 'statusCode'],
    properties: { error: { type: 'string' }, message: { type: 'string' }, statusCode: { type: 'integer' } },
  },
  release: {
    type: 'object',
    required: ['success', 'error', 'meta'],
    properties: {
      success: { const: false },
      error: {
        type: 'object',
        required: ['code', 'message'],
        properties: { code: { type: 'string' }, message: { type: 'string' }, details: {} },
      },
      meta: { type: 'object' },
    },
  },
  jobs: { type: 'object', required: ['error'], properties: { error: { type: 'string' }, code: { type: 'string' } } },
  native: {
    type: 'object',
    required: ['type', 'title', 'status', 'code'],
    properties: {
      type: { type: 'string' },
      title: { type: 'string' },
      status: { type: 'integer' },
      code: { type: 'string' },
      requestId: { type: 'string' },
    },
  },
}

const MEDIA: Readonly<Record<Surface, string>> = {
  platform: 'application/json',
  fleet: 'application/json',
  release: 'application/json',
  jobs: 'application/json',
  native: 'application/problem+json',
}

/**
 * The OpenAPI 3.1 document of what is declared: one surface, or all. Pure: the same declarations give the same document.
 * A path that several surfaces own appears under each surface's own beginning (`/release/api/v1/...`), where it always answers.
 */
export function openApi(options: OpenApiOptions): OpenApiDocument {
  const { surface, base = '', show = () => true } = options
  const shown = declared.filter(
    (each) =>
      (surface === undefined || each.surface === surface) && each.endpoint.path.startsWith(base) && show(each.endpoint),
  )
  const owners = new Map<string, Set<Surface>>()
  for (const each of shown) {
    const key = `${each.endpoint.method} ${shape(each.endpoint.path)}`
    owners.set(key, (owners.get(key) ?? new Set()).add(each.surface))
  }
  const paths: OpenApiDocument['paths'] = {}
  const tags = new Set<string>()
  for (const each of shown) {
    const { endpoint } = each
    const shared = (owners.get(`${endpoint.method} ${shape(endpoint.path)}`)?.size ?? 0) > 1
    const path = `${shared ? `/${each.surface}` : ''}${endpoint.path.slice(base.length)}`
    const tag = surface === undefined ? `${each.surface}: ${endpoint.group}` : endpoint.group
    tags.add(tag)
    const item = (paths[path] ??= {})
    for (const method of endpoint.method === 'ANY' ? ANY : [endpoint.method.toLowerCase()])
      item[method] = operation(each, tag, surface === undefined, endpoint.method === 'ANY' ? method : undefined)
  }
  const surfaces = [...new Set(shown.map((each) => each.surface))]
  return plain({
    openapi: '3.1.0',
    info: { title: options.title, version: options.version },
    servers: [{ url: base === '' ? '/' : base }],
    tags: [...tags].map((name) => ({ name })),
    paths,
    components: {
      schemas: Object.fromEntries(surfaces.map((each) => [errorName(each), ERROR[each]])),
      securitySchemes: { bearerAuth: { type: 'http', scheme: 'bearer' } },
    },
  })
}

const errorName = (surface: Surface): string => `${surface[0]?.toUpperCase()}${surface.slice(1)}Error`

const shape = (path: string): string => path.replace(/\{\w+\}/g, '{}')

function operation({ surface, area, name, endpoint }: Declared, tag: string, all: boolean, method?: string): object {
  const id = [...(all ? [surface, area] : []), name, ...(method === undefined ? [] : [method])].join('_')
  const isPublic = endpoint.permission === 'public'
  return {
    operationId: id,
    summary: endpoint.summary,
    tags: [tag],
    security: isPublic ? [] : [{ bearerAuth: [] }],
    ...(isPublic ? {} : { 'x-permission': endpoint.permission }),
    ...(endpoint.floor ? { 'x-floor': endpoint.floor } : {}),
    'x-rate-class': endpoint.rate,
    ...(endpoint.kind === 'ws' ? { 'x-websocket': true } : {}),
    parameters: [
      ...parameters(endpoint, 'params', 'path'),
      ...parameters(endpoint, 'query', 'query'),
      ...paging(endpoint),
    ],
    ...requestBody(endpoint),
    responses: responses(surface, endpoint),
  }
}

function requestBody({ body, bytes }: Endpoint): object {
  if (bytes) {
    const binary = { schema: { type: 'string', format: 'binary' } }
    return { requestBody: { required: true, content: Object.fromEntries(bytes.map((type) => [type, binary])) } }
  }
  return body === undefined
    ? {}
    : { requestBody: { required: true, content: { 'application/json': { schema: body } } } }
}

function parameters(endpoint: Endpoint, part: 'params' | 'query', where: 'path' | 'query'): object[] {
  const schema = endpoint[part]
  const named = Object.entries((schema?.['properties'] ?? {}) as Record<string, object>)
  const required = new Set((schema?.['required'] ?? []) as string[])
  const declaredNames = new Set(named.map(([name]) => name))
  const fromPath =
    where === 'path'
      ? [...endpoint.path.matchAll(/\{(\w+)\}/g)].flatMap(([, name = '']) =>
          declaredNames.has(name) ? [] : [{ name, in: where, required: true, schema: { type: 'string' } }],
        )
      : []
  return [
    ...fromPath,
    ...named.map(([name, each]) => ({
      name,
      in: where,
      ...(where === 'path' || required.has(name) ? { required: true } : {}),
      schema: each,
    })),
  ]
}

function paging(endpoint: Endpoint): object[] {
  if (!endpoint.list) return []
  const known = new Set(Object.keys((endpoint.query?.['properties'] ?? {}) as object))
  return ['page', 'pageSize']
    .filter((name) => !known.has(name))
    .map((name) => ({ name, in: 'query', schema: { type: 'integer', minimum: 1 } }))
}

function responses(surface: Surface, endpoint: Endpoint): Record<string, object> {
  const status =
    endpoint.status ??
    (endpoint.creates && (surface === 'fleet' || surface === 'release' || surface === 'native') ? 201 : 200)
  const refused = (description: string): object => ({
    description,
    content: { [MEDIA[surface]]: { schema: { $ref: `#/components/schemas/${errorName(surface)}` } } },
  })
  const made: Record<string, object> = { [status]: success(surface, endpoint) }
  for (const code of endpoint.faults ?? []) {
    const { status: each, title } = faults[code satisfies FaultCode]
    made[each] ??= refused(title)
  }
  if (endpoint.permission !== 'public') {
    made['401'] ??= refused('The credential is missing or not valid')
    made['403'] ??= refused('The caller may not do this')
  }
  if (endpoint.body ?? endpoint.query ?? endpoint.params) made['400'] ??= refused('The request is not valid')
  if (endpoint.rate !== 'none') made['429'] ??= refused('Too many requests')
  made['default'] = refused('Any other refusal')
  return made
}

function success(surface: Surface, endpoint: Endpoint): object {
  if (endpoint.kind === 'ws') return { description: 'The socket opens (101)' }
  if (endpoint.kind === 'sse')
    return { description: 'A stream of events', content: { 'text/event-stream': { schema: { type: 'string' } } } }
  const type = endpoint.kind === 'raw' ? (endpoint.produces ?? 'application/octet-stream') : 'application/json'
  return {
    description: 'Done',
    content: {
      [type]: { schema: wireReply(surface, endpoint) },
      ...(endpoint.text ? { 'text/plain': { schema: { type: 'string' } } } : {}),
    },
  }
}

/** Declarations carry symbols and functions of the schema library; the document is plain JSON. */
const plain = (document: OpenApiDocument): OpenApiDocument => JSON.parse(JSON.stringify(document)) as OpenApiDocument
