import { BUILT_IN_ROLES, declared, type Surface, SURFACES } from '@wheelhouse/contract'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Bound } from '../kernel/http/index.ts'
import { can, createKey } from '../kernel/identity/index.ts'
import { ask, type Ask, methodOf, nameOf, parsed, pathOf, sample } from './asking.ts'
import { hasErrorShape, isDefect, isProbe } from './error-shapes.ts'
import { broken, fitting, queryOf, type Schema } from './generate.ts'
import { openWorld, type World } from './world.ts'

/**
 * What holds for every endpoint because it is declared (style.md, "derived"). A new endpoint is held to it without a line of its own.
 * `DERIVED_SEED` repeats a run, `DERIVED_RUNS` makes it deeper, `DERIVED_ONLY` keeps to paths that contain its text.
 */
const SEED = Number(process.env['DERIVED_SEED'] ?? 20_260_101)
const RUNS = Number(process.env['DERIVED_RUNS'] ?? 16)
const ONLY = process.env['DERIVED_ONLY'] ?? ''
/** A request that waits longer than this waits on purpose (streams, long polls): it is let go. */
const PATIENCE_MS = 1_500
/** Of the requests of one surface; what is left over is told, not silently skipped. */
const BUDGET_MS = 25_000

let world: World
let bound: readonly Bound[]
beforeAll(async () => {
  world = await openWorld({ config: (config) => (config.log.level = 'error') })
  bound = world.http.bound
})
afterAll(() => world.close())

interface Reply {
  status: number
  body: unknown
}

/** Undefined when the server took its time on purpose. */
async function send({ url, ...asked }: Omit<Ask, 'path'> & { url: string }): Promise<Reply | undefined> {
  const reply = await ask(world, { ...asked, path: url, patienceMs: PATIENCE_MS })
  return reply && { status: reply.status, body: parsed(reply.body) }
}

const answering = (surface: Surface): readonly Bound[] =>
  bound.filter((each) => each.surface === surface && each.endpoint.kind !== 'ws' && each.endpoint.path.includes(ONLY))

const shown = (value: unknown): string => {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
  return text.length > 300 ? `${text.slice(0, 300)}… (${text.length})` : text
}

test('everything that is declared is served', () => {
  const served = new Set(bound.map((each) => `${each.surface} ${each.endpoint.method} ${each.endpoint.path}`))
  const missing = declared
    .map(({ surface, endpoint }) => `${surface} ${endpoint.method} ${endpoint.path}`)
    .filter((each) => !served.has(each))
  expect(missing).toEqual([])
})

describe.each(SURFACES)('%s', (surface) => {
  test('answers anonymous callers 401, whatever they send', async () => {
    const wrong: string[] = []
    for (const each of answering(surface)) {
      const { endpoint } = each
      if (endpoint.permission === 'public') continue
      const method = methodOf(endpoint)
      const url = pathOf(each, SEED).path
      const reply = await send({ method, url, as: null, ...(method === 'GET' ? {} : { body: '[' }) })
      if (reply?.status !== 401 || !hasErrorShape(surface, reply))
        wrong.push(`${nameOf(each)}: ${reply?.status} ${shown(reply?.body)}`)
    }
    expect(wrong).toEqual([])
  })

  test('answers each role without the permission 403, whatever it sends', async () => {
    const wrong: string[] = []
    const principals = await Promise.all(BUILT_IN_ROLES.map((role) => world.principal(world.a.keys[role])))
    for (const each of answering(surface)) {
      const { endpoint } = each
      const method = methodOf(endpoint)
      for (const [i, role] of BUILT_IN_ROLES.entries()) {
        const principal = principals[i]
        if (!principal || can(principal, endpoint.permission)) continue
        const url = pathOf(each, SEED).path
        const reply = await send({ method, url, as: world.a.keys[role], ...(method === 'GET' ? {} : { body: '[' }) })
        if (reply?.status !== 403 || !hasErrorShape(surface, reply))
          wrong.push(`${nameOf(each)} as ${role}: ${reply?.status} ${shown(reply?.body)}`)
      }
    }
    expect(wrong).toEqual([])
  })

  test('finds nothing under ids that nothing bears', async () => {
    const wrong: string[] = []
    const as = world.a.keys['platform-admin']
    for (const each of answering(surface)) {
      const { endpoint } = each
      if (!endpoint.path.includes('{') || endpoint.permission === 'public') continue
      const method = methodOf(endpoint)
      const body = endpoint.body ? sample(endpoint.body as Schema, SEED) : undefined
      const url = pathOf(each, SEED).path
      const reply = await send({ method, url, as, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
      const isList = endpoint.list !== undefined
      // Some documents answer an unknown id with an empty list (jobs.md §5, §6).
      const isEmpty = Array.isArray(reply?.body) && reply.body.length === 0
      const found = reply && reply.status < 300 && !isList && !isEmpty && method === 'GET'
      if (!reply || found || isDefect(endpoint, reply.status))
        wrong.push(`${nameOf(each)} (${url}): ${reply?.status} ${shown(reply?.body)}`)
    }
    expect(wrong).toEqual([])
  })

  test('keeps what one tenant makes from another', async () => {
    const wrong: string[] = []
    let tried = 0
    for (const made of await makeAll(surface)) {
      for (const each of answering(surface)) {
        const { endpoint } = each
        const beneath = new RegExp(`^${escaped(made.path)}/\\{\\w+\\}(/[^{]*)?$`)
        if (!beneath.test(endpoint.path) || endpoint.permission === 'public') continue
        tried += 1
        const method = methodOf(endpoint)
        const prefix = pathOf(each, SEED).path.split(made.path)[0] ?? ''
        const url = `${prefix}${endpoint.path.replace(/\{\w+\}/, encodeURIComponent(made.id))}`
        const body = endpoint.body ? sample(endpoint.body as Schema, SEED) : undefined
        const asked = { method, url, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }
        const foreign = await send({ ...asked, as: world.a.keys.admin })
        const isEmptyList = endpoint.list !== undefined && foreign?.status === 200
        if (!foreign || ((foreign.status < 400 || foreign.status >= 500) && !isEmptyList))
          wrong.push(`${nameOf(each)} (${url}) of another tenant: ${foreign?.status} ${shown(foreign?.body)}`)
        if (method !== 'GET') continue
        const own = await send({ ...asked, as: world.b.keys.admin })
        if (own?.status === 404)
          wrong.push(`${nameOf(each)} (${url}) as its owner: 404, so that the case proves nothing`)
      }
    }
    expect(wrong).toEqual([])
    if (surface === 'release' && ONLY === '') expect(tried).toBeGreaterThan(3)
  })

  test('meets no defect, whatever a caller with every right sends', { timeout: BUDGET_MS + 30_000 }, async () => {
    const wrong: string[] = []
    const endAt = performance.now() + BUDGET_MS
    const skipped: string[] = []
    for (const each of answering(surface)) {
      if (performance.now() > endAt) skipped.push(nameOf(each))
      else wrong.push(...(await fuzz(each)))
    }
    expect(wrong).toEqual([])
    expect(skipped, `not reached within ${BUDGET_MS} ms`).toEqual([])
  })
})

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)

/** What tenant b can make from generated bodies alone, by the path that makes it. */
async function makeAll(surface: Surface): Promise<{ path: string; id: string }[]> {
  const made: { path: string; id: string }[] = []
  for (const each of answering(surface)) {
    const { endpoint } = each
    if (endpoint.method !== 'POST' || endpoint.path.includes('{') || endpoint.permission === 'public' || !endpoint.body)
      continue
    for (const body of fc.sample(fitting(endpoint.body as Schema, true), { seed: SEED, numRuns: 10 })) {
      const url = pathOf(each, SEED).path
      const reply = await send({ method: 'POST', url, as: world.b.keys.admin, body: JSON.stringify(body) })
      const id = reply && reply.status < 300 ? idIn(reply.body) : undefined
      if (id === undefined) continue
      made.push({ path: endpoint.path, id })
      break
    }
  }
  return made
}

function idIn(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null) return undefined
  const { id, data } = body as { id?: unknown; data?: unknown }
  return typeof id === 'string' ? id : idIn(data)
}

async function fuzz(each: Bound): Promise<string[]> {
  const { surface, endpoint } = each
  // A key of its own: an endpoint that ends keys or sessions ends this one alone.
  const as = endpoint.permission === 'public' ? null : await freshKey()
  const method = methodOf(endpoint)
  const bodies: (string | undefined)[] = endpoint.body
    ? [
        ...fc
          .sample(broken(endpoint.body as Schema), { seed: SEED, numRuns: RUNS })
          .map((body) => JSON.stringify(body)),
        ...fc.sample(fitting(endpoint.body as Schema), { seed: SEED, numRuns: 2 }).map((body) => JSON.stringify(body)),
        '{"a":',
        '',
        `${'['.repeat(5000)}${']'.repeat(5000)}`,
      ]
    : fc.sample(fc.constant(undefined), { seed: SEED, numRuns: endpoint.query || endpoint.list ? RUNS : 2 })
  const queries = fc.sample(queryOf(endpoint.query as Schema | undefined, endpoint.list !== undefined), {
    seed: SEED,
    numRuns: bodies.length,
  })
  const wrong: string[] = []
  for (const [i, body] of bodies.entries()) {
    const query = new URLSearchParams(
      Object.entries(queries[i] ?? {}).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    ).toString()
    const url = `${pathOf(each, SEED + i).path}${query === '' ? '' : `?${query}`}`
    const reply = await send({ method, url, as, ...(body === undefined ? {} : { body }) })
    if (!reply) break
    const isRefusal = reply.status >= 400 && !isDefect(endpoint, reply.status)
    if (isDefect(endpoint, reply.status) || (isRefusal && !isProbe(endpoint) && !hasErrorShape(surface, reply)))
      wrong.push(
        `${nameOf(each)}: ${reply.status} ${shown(reply.body)} for ${shown(url)} ${shown(body)} (DERIVED_SEED=${SEED}, case ${i}; TEST_LOG=error shows the server's log)`,
      )
  }
  return wrong.slice(0, 3)
}

const freshKey = (): Promise<string> =>
  world.kernel.db.auth(async (tx) => {
    const { token } = await createKey(tx, world.kernel.clock.now(), {
      tenantId: world.a.id,
      ownerId: world.a.adminId,
      name: 'derived',
      admin: true,
    })
    return token
  })
