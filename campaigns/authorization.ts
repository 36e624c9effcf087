import { BUILT_IN_ROLES, type BuiltInRole, type Permission } from '../packages/contract/src/index.ts'
import { createKey } from '../apps/server/src/kernel/identity/index.ts'
import { ask, type Ask, methodOf, nameOf, pathOf, sample, type Thing } from '../apps/server/src/testing/asking.ts'
import type { Schema } from '../apps/server/src/testing/generate.ts'
import type { World } from '../apps/server/src/testing/world.ts'
import { type BadCredential, badCredentials, goodCredentials } from './authorization-credentials.ts'
import { makeThings } from './authorization-ground.ts'
import { grpcCells } from './authorization-grpc.ts'
import { type Cell, mayKey } from './authorization-model.ts'
import { busCells } from './authorization-nats.ts'
import { socketCells } from './authorization-sockets.ts'
import { Random } from './random.ts'
import { storedRows } from './rows.ts'
import { openOwnWorld, sideBySide } from './world.ts'

export interface MatrixOptions {
  seed: number
  /** Of all cells, so many; 1: every one. Those of the doors that are not HTTP are few and always asked. */
  share?: number
  say?(line: string): void
}

export interface MatrixReport {
  seed: number
  seconds: number
  endpoints: number
  /** Asked and as expected, by kind. */
  cells: Record<string, number>
  total: number
  /** Cells of another tenant that named an object which is really there. */
  realObjects: number
  violations: string[]
}

/** Doors by which cells are asked, each a part that can be asked by itself. */
export const DOORS = ['HTTP, own tenant', 'HTTP, other tenant', 'HTTP, bad credentials', 'beside HTTP'] as const
export type Door = (typeof DOORS)[number]

/** The cells before they are asked. Whoever opens it closes it. */
export interface Matrix {
  /** Asks the cells of these doors, each cell once; what was wrong. */
  ask(doors: readonly Door[]): Promise<string[]>
  /** What can only be told once all are asked: whether the other tenant's rows are what they were, and what it does meanwhile. */
  finish(): Promise<MatrixReport>
  close(): Promise<void>
}

const AT_ONCE = 12

/**
 * Asks every endpoint, in the name of every built-in role, for its own tenant's and for another tenant's things, and with every kind of
 * credential that must open nothing; then the sockets, gRPC and the bus. What is expected is worked out from the declarations alone.
 */
export async function matrixCampaign(options: MatrixOptions): Promise<MatrixReport> {
  const matrix = await openMatrix(options)
  try {
    await matrix.ask(DOORS)
    return await matrix.finish()
  } finally {
    await matrix.close()
  }
}

const doorOf = ({ kind }: Cell): Door =>
  kind === 'other tenant'
    ? 'HTTP, other tenant'
    : kind === 'bad credential'
      ? 'HTTP, bad credentials'
      : kind === 'public' || kind.startsWith('own tenant')
        ? 'HTTP, own tenant'
        : 'beside HTTP'

/** The same in parts. */
export async function openMatrix(options: MatrixOptions): Promise<Matrix> {
  const { world, close } = await openOwnWorld({ config: (config) => (config.log.level = 'error') })
  try {
    return await matrixOf(world, close, options)
  } catch (error) {
    await close()
    throw error
  }
}

async function matrixOf(
  world: World,
  closeWorld: () => Promise<void>,
  { seed, share = 1, say = () => undefined }: MatrixOptions,
): Promise<Matrix> {
  const began = Date.now()
  const random = new Random(seed)
  const things = await makeThings(world, world.b, world.a, seed)
  say(`the other tenant has ${things.map(({ path }) => path).join(', ')}`)
  const bad = await badCredentials(world, await goodCredentials(world))
  const [sockets, grpc, bus] = [
    await socketCells(world, things, bad),
    await grpcCells(world, bad),
    await busCells(world),
  ]
  const http = await httpCells(world, seed, things, bad)
  const cells = [
    ...http.cells.filter(() => share >= 1 || random.next() < share),
    ...sockets.cells,
    ...grpc.cells,
    ...bus.cells,
  ]
  say(`${cells.length} cells`)
  const before = await storedRows(world.databaseUrl, world.b.id)
  const counts: Record<string, number> = {}
  const violations: string[] = []
  const left = new Set(cells)
  async function put(cell: Cell | undefined): Promise<void> {
    if (!cell) return
    left.delete(cell)
    const wrong = await cell.ask().catch((error: unknown) => [`${cell.kind}: ${String(error)}`])
    violations.push(...wrong)
    if (wrong.length === 0) counts[cell.kind] = (counts[cell.kind] ?? 0) + 1
  }
  return {
    async ask(doors) {
      const known = violations.length
      const asked = [...left].filter((cell) => doors.includes(doorOf(cell)))
      await sideBySide(asked.length, AT_ONCE, (index) => put(asked[index]))
      return violations.slice(known)
    },
    async finish() {
      if (left.size > 0) throw new Error(`${left.size} cells were not asked`)
      const after = await storedRows(world.databaseUrl, world.b.id)
      for (const [table, digest] of after)
        if (!MOVING.has(table) && before.get(table) !== digest)
          violations.push(`the other tenant's rows of ${table} have changed`)
      // These need the other tenant to do something.
      for (const cell of [...sockets.last, ...grpc.last, ...bus.last]) await put(cell)
      return {
        seed,
        seconds: Math.round((Date.now() - began) / 1000),
        endpoints: world.http.bound.length,
        cells: counts,
        total: Object.values(counts).reduce((sum, each) => sum + each, 0),
        realObjects: http.real,
        violations,
      }
    },
    close: () => Promise.all([grpc.close(), bus.close()]).then(closeWorld, closeWorld),
  }
}

/** platform.md §7: asked with a key, these answer 401. */
const SESSIONS_ALONE = new Set(['platform GET /api/v1/usertoken'])

/** Where no object is named, the endpoint speaks of one that asks for more than its own permission (jobs.md §12: the scope `system`). */
const ALSO: Readonly<Record<string, Permission>> = { 'jobs GET /api/v1/config': 'config:inspect' }

/** What moves by itself: a waiting job's place in the queue (whether it was touched is told by its own row), and the seals that time sets. */
const MOVING = new Set(['job_queue', 'seals'])

const isOpen = (status: number): boolean => status !== 401 && status !== 403

/** What a refusal must not have in it: whatever names the other tenant, but for what the caller itself has said. */
function leaks(world: World, things: readonly Thing[], path: string, body: string): string[] {
  const { id, slug, adminId } = world.b
  return [id, slug, adminId, ...things.map((thing) => thing.id)].filter(
    (secret) => secret !== '' && !path.includes(secret) && body.includes(secret),
  )
}

/** A role's key that this one question may use up: what ends sessions and keys must not end the campaign's. */
async function ownKey(world: World, role: BuiltInRole): Promise<string> {
  const isAdmin = role === 'admin' || role === 'platform-admin'
  const { token } = await world.kernel.db.auth((tx) =>
    createKey(tx, world.kernel.clock.now(), {
      tenantId: world.a.id,
      ownerId: world.a.adminId,
      name: 'once',
      roles: [role],
      admin: isAdmin,
    }),
  )
  return token
}

/** Everything that is asked of HTTP endpoints, event streams among them. */
async function httpCells(
  world: World,
  seed: number,
  things: readonly Thing[],
  bad: readonly BadCredential[],
): Promise<{ cells: Cell[]; real: number }> {
  const cells: Cell[] = []
  let real = 0
  const shown = (reply: { status: number; body: string } | undefined): string =>
    `${reply?.status ?? 'no answer'} ${reply?.body.slice(0, 200) ?? ''}`
  for (const bound of world.http.bound) {
    const { endpoint, surface } = bound
    if (endpoint.kind === 'ws') continue
    const { permission } = endpoint
    const method = methodOf(endpoint)
    const isPublic = permission === 'public'
    /** Text that is no JSON: what is allowed gets as far as this and changes nothing. */
    const spoilt = method === 'GET' || !endpoint.body ? {} : { body: '[' }
    const usesUp = method !== 'GET' && !endpoint.body
    const own = pathOf(bound, seed)
    const foreign = pathOf(bound, seed, things)
    for (const role of BUILT_IN_ROLES) {
      const also = ALSO[nameOf(bound)]
      const may = mayKey(role, permission) && (also === undefined || mayKey(role, also))
      cells.push({
        kind: isPublic ? 'public' : may ? 'own tenant, may' : 'own tenant, may not',
        async ask() {
          const as = usesUp ? await ownKey(world, role) : world.a.keys[role]
          const reply = await ask(world, { method, path: own.path, as, ...spoilt })
          const status = reply?.status ?? 200
          // The documented surface gives this to people who have logged in, not to their keys.
          const right = may ? isOpen(status) || (SESSIONS_ALONE.has(nameOf(bound)) && status === 401) : status === 403
          return right ? [] : [`${nameOf(bound)} as ${role}: ${shown(reply)}, ${may ? 'may' : 'may not'}`]
        },
      })
      if (foreign.ids.length > 0) real += 1
      cells.push({
        kind: 'other tenant',
        async ask() {
          const crosses = surface === 'jobs' && role === 'platform-admin'
          const isReal = foreign.ids.length > 0
          // Who may cross tenants is asked what it may read; that it then may also change things is what the right says.
          if (crosses && usesUp) return []
          const as = usesUp ? await ownKey(world, role) : world.a.keys[role]
          const body =
            !crosses && isReal && endpoint.body && method !== 'GET'
              ? { body: JSON.stringify(sample(endpoint.body as Schema, seed)) }
              : spoilt
          // Its things by their ids, without a word about whose they are; and the same with the other tenant named.
          const wanted: Ask = { method, path: foreign.path, as, ...body }
          const plain = await ask(world, wanted)
          const named = await ask(world, {
            ...wanted,
            headers: { 'x-tenant-id': world.b.slug },
            query: `tenant_id=${world.b.id}`,
          })
          const wrong: string[] = []
          for (const [reply, how] of [
            [plain, 'by id'],
            [named, 'by name'],
          ] as const) {
            if (!reply) continue
            const mayHere = crosses && how === 'by name'
            const found = mayHere ? [] : leaks(world, things, foreign.path, reply.body)
            if (found.length > 0) wrong.push(`${nameOf(bound)} as ${role}, ${how}: shows ${found.join(', ')}`)
            if (isPublic) continue
            if (!may && reply.status !== 403)
              wrong.push(`${nameOf(bound)} as ${role}, ${how}: ${shown(reply)}, may not`)
            if (may && !mayHere && surface === 'jobs' && how === 'by name' && reply.status !== 403)
              wrong.push(`${nameOf(bound)} as ${role}, another tenant by name: ${shown(reply)}`)
            if (may && reply.status === 401 && !SESSIONS_ALONE.has(nameOf(bound)))
              wrong.push(`${nameOf(bound)} as ${role}, ${how}: ${shown(reply)}`)
            if (may && isReal && !mayHere && reply.status < 300 && !isEmpty(reply.body))
              wrong.push(`${nameOf(bound)} as ${role}, ${how}, ${foreign.path}: ${shown(reply)}`)
          }
          return wrong
        },
      })
    }
    if (isPublic) continue
    for (const credential of bad) {
      if (credential.surfaces && !credential.surfaces.includes(surface)) continue
      cells.push({
        kind: 'bad credential',
        async ask() {
          const { headers, query } = credential
          const reply = await ask(world, {
            method,
            path: own.path,
            ...spoilt,
            ...(headers ? { headers } : {}),
            ...(query === undefined ? {} : { query }),
          })
          return reply?.status === 401 ? [] : [`${nameOf(bound)} with ${credential.kind}: ${shown(reply)}`]
        },
      })
    }
  }
  return { cells, real }
}

/** Some documents answer an id that is not there with an empty list (jobs.md 5, 6). */
function isEmpty(body: string): boolean {
  const value: unknown = JSON.parse(body === '' ? '[]' : body)
  if (Array.isArray(value)) return value.length === 0
  if (typeof value !== 'object' || value === null) return false
  return Object.values(value).every(
    (each) => each === null || each === 0 || each === true || typeof each === 'number' || isEmptyList(each),
  )
}

const isEmptyList = (value: unknown): boolean => Array.isArray(value) && value.length === 0

/** The report as Markdown, for docs/reliability.md. */
export function matrixReport({
  seed,
  seconds,
  endpoints,
  cells,
  total,
  realObjects,
  violations,
}: MatrixReport): string {
  return [
    `Seed ${seed}: ${total} cells of ${endpoints} endpoints and the doors beside HTTP, asked in ${seconds} s; ${realObjects} of them named an`,
    'object of the other tenant that is really there.',
    '',
    '| Cells | |',
    '|---|---|',
    ...Object.entries(cells)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([kind, count]) => `| ${kind} | ${count} |`),
    '',
    `- leaks and other violations: ${violations.length}`,
    ...violations.slice(0, 60).map((each) => `  - ${each.slice(0, 400)}`),
  ].join('\n')
}
