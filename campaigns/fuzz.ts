import { BUILT_IN_ROLES, type BuiltInRole } from '../packages/contract/src/index.ts'
import type { Bound } from '../apps/server/src/kernel/http/index.ts'
import { createKey, createUser } from '../apps/server/src/kernel/identity/index.ts'
import { ask, nameOf, parsed } from '../apps/server/src/testing/asking.ts'
import { hasErrorShape, isDefect, isProbe } from '../apps/server/src/testing/error-shapes.ts'
import type { World } from '../apps/server/src/testing/world.ts'
import { mayKey } from './authorization-model.ts'
import { Known, requestsOf, type Wanted } from './fuzz-requests.ts'
import { Random } from './random.ts'
import { sideBySide, withWorld } from './world.ts'

export interface FuzzOptions {
  seed: number
  /** Requests of each endpoint in the name of each role that may ask it; of one that may not, one. */
  runs: number
  /** Only endpoints whose `METHOD path` contains this. */
  only?: string
  say?(line: string): void
}

export interface FuzzReport {
  seed: number
  seconds: number
  endpoints: number
  requests: number
  /** Answers by the class of their status. */
  answers: Record<string, number>
  /** Failures of the server that the endpoint documents (an agent that is not there, a provider that is not configured). */
  documented: Record<string, number>
  slowestMs: number
  violations: string[]
}

const AT_ONCE = 8
const HANG_MS = 5_000
const ROUNDS = 4

/**
 * Sends every endpoint, in the name of every role, requests that its declaration allows, nearly allows, or does not know at all, in rounds,
 * so that later requests name what earlier ones made. No answer may be a defect (5xx that is not documented; a reply outside its declared
 * schema is one), none may miss its surface's form, none may hang.
 */
export function fuzzCampaign({ seed, runs, only = '', say = () => undefined }: FuzzOptions): Promise<FuzzReport> {
  return withWorld({}, async (world) => {
    const began = Date.now()
    const random = new Random(seed)
    const { keys, ids } = await spareKeys(world)
    const bound = world.http.bound.filter(
      ({ endpoint }) => endpoint.kind !== 'ws' && `${endpoint.method} ${endpoint.path}`.includes(only),
    )
    const known = new Known([world.a.id, world.a.slug, world.a.adminId, world.b.id, world.b.slug, ...ids])
    const report: FuzzReport = {
      seed,
      seconds: 0,
      endpoints: bound.length,
      requests: 0,
      answers: {},
      documented: {},
      slowestMs: 0,
      violations: [],
    }
    const seen = new Set<string>()

    async function put(each: Bound, role: BuiltInRole, wanted: Wanted): Promise<void> {
      const outcome = await send(world, each, keys[role], wanted)
      report.requests += 1
      report.slowestMs = Math.max(report.slowestMs, outcome.ms)
      const word = outcome.status === undefined ? 'none' : `${Math.floor(outcome.status / 100)}xx`
      report.answers[word] = (report.answers[word] ?? 0) + 1
      const { status } = outcome
      if (status !== undefined && status >= 500 && !isDefect(each.endpoint, status)) {
        const name = `${status} ${nameOf(each)}`
        report.documented[name] = (report.documented[name] ?? 0) + 1
      }
      if (outcome.value !== undefined) known.learn(each.endpoint.path.replace(/\/$/, ''), outcome.value)
      if (outcome.wrong === undefined) return
      // One of a kind: a defect that a thousand requests meet is one defect.
      const kind = `${nameOf(each)} ${outcome.wrong.slice(0, 60)}`
      if (seen.has(kind)) return
      seen.add(kind)
      report.violations.push(
        `${nameOf(each)} as ${role}: ${outcome.wrong}; asked ${wanted.method} ${wanted.path}?${wanted.query} ${JSON.stringify(wanted.headers)} ${(wanted.body ?? '').slice(0, 300)}`,
      )
    }

    for (let round = 0; round < ROUNDS; round++) {
      const turns = bound.flatMap((each, index) =>
        BUILT_IN_ROLES.flatMap((role, rank) => {
          const share = mayKey(role, each.endpoint.permission) ? Math.ceil(runs / ROUNDS) : round === 0 ? 1 : 0
          return share === 0 ? [] : [{ each, role, share, seed: seed + round * 100_003 + index * 101 + rank }]
        }),
      )
      // Makers before readers in one round would hide what an empty store does; the order is the seed's.
      const order = shuffled(turns, random)
      await sideBySide(order.length, AT_ONCE, async (index) => {
        const turn = order[index]
        if (!turn) return
        for (const wanted of requestsOf(turn.each, turn.seed, turn.share, random, known))
          await put(turn.each, turn.role, wanted)
      })
      say(`round ${round + 1} of ${ROUNDS}: ${report.requests} requests, ${report.violations.length} violations`)
    }
    for (const role of BUILT_IN_ROLES) {
      const { status } = await world.call('GET', '/api/v1/userinfo', { as: keys[role] })
      if (status !== 200)
        report.violations.push(`the key of ${role} was lost on the way (${status}), so that this proves less`)
    }
    report.seconds = Math.round((Date.now() - began) / 1000)
    return report
  })
}

/** Keys of somebody whom no answer names, so that what the campaign destroys is not itself. */
async function spareKeys(world: World): Promise<{ keys: Record<BuiltInRole, string>; ids: string[] }> {
  const { kernel, a } = world
  const now = kernel.clock.now()
  return kernel.db.auth(async (tx) => {
    const keys: Partial<Record<BuiltInRole, string>> = {}
    const ids: string[] = []
    for (const role of BUILT_IN_ROLES) {
      const admin = role === 'admin' || role === 'platform-admin'
      const { token, key } = await createKey(tx, now, {
        tenantId: a.id,
        ownerId: a.adminId,
        name: role,
        roles: [role],
        admin,
      })
      keys[role] = token
      ids.push(key.id)
    }
    // Somebody to be found, changed and removed.
    for (const name of ['anna', 'ben']) await createUser(tx, now, { tenantId: a.id, username: name, role: 'viewer' })
    return { keys: keys as Record<BuiltInRole, string>, ids }
  })
}

interface Outcome {
  status?: number
  value?: unknown
  wrong?: string
  ms: number
}

async function send(world: World, { surface, endpoint }: Bound, key: string, wanted: Wanted): Promise<Outcome> {
  const began = performance.now()
  const took = (): number => Math.round(performance.now() - began)
  const { query, body, ...rest } = wanted
  try {
    const reply = await ask(world, {
      ...rest,
      as: key,
      ...(query === '' ? {} : { query }),
      ...(body === undefined ? {} : { body }),
      patienceMs: HANG_MS,
    })
    const ms = took()
    if (!reply) return { ms, wrong: `no answer within ${HANG_MS} ms` }
    const { status, body: text } = reply
    const value = parsed(text)
    if (isDefect(endpoint, status)) return { status, ms, wrong: `${status} ${text.slice(0, 200)}` }
    // What never reached a surface (a path that is no path) is answered by the server itself.
    if (status >= 400 && !isProbe(endpoint) && !hasErrorShape(surface, { status, body: value }) && !isStranger(status))
      return { status, ms, wrong: `${status} in no form of its surface: ${text.slice(0, 200)}` }
    return { status, ms, ...(status < 300 ? { value } : {}) }
  } catch (error) {
    return { ms: took(), wrong: `the connection broke: ${String((error as Error).cause ?? error)}` }
  }
}

/** A hostile part can make the path another one, even one that nobody serves. */
const isStranger = (status: number): boolean => status === 404 || status === 405

function shuffled<T>(values: readonly T[], random: Random): T[] {
  const copy = [...values]
  for (let i = copy.length - 1; i > 0; i--) {
    const j = random.whole(0, i)
    const [a, b] = [copy[i], copy[j]]
    if (a === undefined || b === undefined) continue
    copy[i] = b
    copy[j] = a
  }
  return copy
}

/** The report as Markdown, for docs/reliability.md. */
export function fuzzReport(report: FuzzReport): string {
  const { seed, seconds, endpoints, requests, answers, documented, slowestMs, violations } = report
  return [
    `Seed ${seed}: ${requests} requests to ${endpoints} endpoints in the name of ${BUILT_IN_ROLES.length} roles in ${seconds} s; the slowest answer took ${slowestMs} ms.`,
    '',
    '| Answers | |',
    '|---|---|',
    ...Object.entries(answers)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([word, count]) => `| ${word} | ${count} |`),
    '',
    ...Object.entries(documented).map(([name, count]) => `- ${count} × ${name}, as it documents`),
    `- answers of 5xx, replies outside their schema, refusals in no form and hangs: ${violations.length}`,
    ...violations.slice(0, 60).map((each) => `  - ${each.slice(0, 700)}`),
  ].join('\n')
}
