import fc from 'fast-check'
import type { Bound } from '../apps/server/src/kernel/http/index.ts'
import { methodOf, prefixed } from '../apps/server/src/testing/asking.ts'
import { broken, fitting, queryOf, type Schema } from '../apps/server/src/testing/generate.ts'
import type { Random } from './random.ts'

export interface Wanted {
  method: string
  path: string
  query: string
  headers: Record<string, string>
  body: string | undefined
}

/** Values that answers named, by the name they had there: ids and keys by which later requests meet what is really there. */
export class Known {
  readonly #values = new Map<string, string[]>()
  readonly #kept: ReadonlySet<string>

  /** `kept`: what no request may name, since the campaign itself stands on it. */
  constructor(kept: readonly string[]) {
    this.#kept = new Set(kept)
  }

  learn(path: string, value: unknown, depth = 0): void {
    if (depth > 6 || typeof value !== 'object' || value === null) return
    if (Array.isArray(value)) return value.slice(0, 3).forEach((each) => this.learn(path, each, depth + 1))
    for (const [name, each] of Object.entries(value)) {
      if (typeof each === 'string' && NAMES.test(name) && each.length < 200 && !this.#kept.has(each)) {
        this.#add(plain(name), each)
        if (name === 'id') this.#add(path, each)
      } else this.learn(path, each, depth + 1)
    }
  }

  #add(name: string, value: string): void {
    const values = this.#values.get(name) ?? []
    if (values.includes(value)) return
    values.push(value)
    if (values.length > 30) values.shift()
    this.#values.set(name, values)
  }

  /** One that was met under this name. */
  one(name: string, random: Random): string | undefined {
    const values = this.#values.get(plain(name))
    return values && values.length > 0 ? random.of(values) : undefined
  }
}

const NAMES = /(^id|Id|_id|name|Name|key|ptr|slug|subject|revision|version|etag|hash|token|cursor|topic|pool)$/
const plain = (name: string): string => name.replaceAll('_', '').toLowerCase()

/** Requests of one endpoint: valid, nearly valid, and no such thing at all. */
export function requestsOf(
  { surface, endpoint }: Bound,
  seed: number,
  count: number,
  random: Random,
  known: Known,
): Wanted[] {
  const method = methodOf(endpoint)
  const draw = <T>(arbitrary: fc.Arbitrary<T>, more = 0): T[] =>
    fc.sample(arbitrary, { seed: seed + more, numRuns: count })
  const schema = endpoint.body as Schema | undefined
  const bodies = schema
    ? { right: draw(fitting(schema)), sparse: draw(fitting(schema, true), 1), wrong: draw(broken(schema), 2) }
    : undefined
  const queries = draw(queryOf(endpoint.query as Schema | undefined, endpoint.list !== undefined), 3)
  const properties = (endpoint.params as Schema | undefined)?.properties ?? {}
  const params = Object.fromEntries(
    [...endpoint.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => [
      name,
      draw(fitting(properties[name] ?? { type: 'string', maxLength: 20 }), 4),
    ]),
  )
  return Array.from({ length: count }, (_, turn) => {
    const path = endpoint.path.replace(/\{(\w+)\}/g, (_all, name: string, at: number) => {
      const chance = random.next()
      const met = known.one(endpoint.path.slice(0, at - 1), random) ?? known.one(name, random)
      if (chance < 0.55 && met !== undefined) return encodeURIComponent(met)
      if (chance < 0.7) return random.of(HOSTILE_PARTS)
      return encodeURIComponent(String(params[name]?.[turn] ?? 'x'))
    })
    const query = new URLSearchParams()
    for (const [name, value] of Object.entries(queries[turn] ?? {})) {
      const met = random.next() < 0.3 ? known.one(name, random) : undefined
      if (value !== undefined) query.append(name, met ?? value)
      if (random.next() < 0.03) query.append(name, 'twice')
    }
    const chance = random.next()
    const body =
      bodies && method !== 'GET'
        ? chance < 0.1
          ? random.of(NO_JSON)
          : JSON.stringify(
              mended(
                chance < 0.5 ? bodies.right[turn] : chance < 0.7 ? bodies.sparse[turn] : bodies.wrong[turn],
                random,
                known,
              ),
            )
        : undefined
    return {
      method,
      path: prefixed(surface, path === '' ? '/' : path),
      query: query.toString(),
      headers: headersOf(body, random, known),
      body,
    }
  })
}

/** With values that were met, where a member has their name. */
function mended(value: unknown, random: Random, known: Known): unknown {
  if (Array.isArray(value)) return value.map((each) => mended(each, random, known))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => {
      const met = typeof each === 'string' && random.next() < 0.4 ? known.one(name, random) : undefined
      return [name, met ?? mended(each, random, known)]
    }),
  )
}

const HOSTILE_PARTS: readonly string[] = [
  '%00',
  '%2e%2e%2f',
  '%',
  '%zz',
  '%F0%9D%92%B3',
  '%ff',
  '0',
  '-1',
  'null',
  '00000000-0000-0000-0000-000000000000',
  'a'.repeat(300),
  'x%2Fy',
  '*',
  '%27%3B--',
  '__proto__',
]

const NO_JSON: readonly string[] = [
  '',
  '{',
  '[',
  'null',
  '0',
  '"text"',
  '[]',
  '{"a":1}{"b":2}',
  '\ufeff{}',
  '{"a":1,"a":2}',
  '\u0000',
  '<xml/>',
  'a=1&b=2',
  `${'['.repeat(3000)}${']'.repeat(3000)}`,
  `{"x":${'9'.repeat(400)}}`,
  '{"__proto__":{"a":1}}',
]

const HEADERS: Readonly<Record<string, readonly string[]>> = {
  'idempotency-key': ['k-1', 'k-2', 'k-3', '', 'x'.repeat(300), 'ü', ' a b '],
  'x-request-id': ['r-1', '<script>', 'x'.repeat(2000), ''],
  traceparent: [
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    '00-00000000000000000000000000000000-0-00',
    'x',
  ],
  'x-tenant-id': ['nobody', '', '*'],
  'x-on-behalf-of': ['nobody', '00000000-0000-0000-0000-000000000000', ''],
  'if-match': ['*', '"x"', 'W/"1"', ''],
  'if-none-match': ['*', '"x"'],
  accept: ['*/*', 'application/json', 'text/event-stream', 'application/xml', 'x'],
  'accept-language': ['de', '*', 'x'.repeat(500)],
  'last-event-id': ['0', '-1', '99999999999999999999', 'x'],
  range: ['bytes=0-1', 'bytes=-', 'x'],
  'x-forwarded-for': ['127.0.0.1', '::1, 10.0.0.1', 'x'],
  'x-forwarded-host': ['evil.test'],
  origin: ['null', 'http://evil.test', 'x'],
  'content-encoding': ['gzip', 'identity', 'x'],
  'user-agent': ['', 'x'.repeat(4000)],
  'x-api-key': ['', 'x'],
  cookie: ['wheelhouse_session=x; cordum_session=', '=;=;;', 'x'.repeat(3000)],
}
const NAMES_OF_HEADERS = Object.keys(HEADERS)
const TYPES = [
  'application/json',
  'application/json; charset=utf-16',
  'text/plain',
  'application/x-www-form-urlencoded',
  'multipart/form-data',
  'x',
]

function headersOf(body: string | undefined, random: Random, known: Known): Record<string, string> {
  const headers: Record<string, string> = {}
  if (body !== undefined) headers['content-type'] = random.next() < 0.9 ? 'application/json' : random.of(TYPES)
  while (random.next() < 0.3) {
    const name = random.of(NAMES_OF_HEADERS)
    const met = random.next() < 0.2 ? known.one('etag', random) : undefined
    headers[name] = met !== undefined && /^[\x20-\x7e]*$/.test(met) ? met : random.of(HEADERS[name] ?? [''])
  }
  return headers
}
