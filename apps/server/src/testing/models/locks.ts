import assert from 'node:assert/strict'
import { Fault } from '@wheelhouse/contract'
import * as fc from 'fast-check'
import { testClock } from '../../kernel/clock/index.ts'
import { type Lock, type LockMode, openLocks } from '../../kernel/locks/index.ts'
import type { World } from '../world.ts'
import { orders, playSequences, Seen, type SequenceOptions } from './sequences.ts'

// jobs.md 25 with its fixes, as a model: plain values, no time but what it is told.

interface Held {
  mode: LockMode
  owners: Record<string, number>
  expiresAt: number
  /** Undefined: of a race, not known yet. */
  token: number | undefined
}

type Act =
  | { kind: 'acquire'; owner: string; mode?: LockMode; ttlMs?: number }
  | { kind: 'release'; owner: string }
  | { kind: 'renew'; owner: string; ttlMs?: number }

type Command =
  | { kind: 'act'; tenant: 'a' | 'b'; resource: number; act: Act }
  | { kind: 'race'; tenant: 'a' | 'b'; resource: number; acts: Act[] }
  | { kind: 'wait'; ms: number }

/** What came of an act: how it was refused, or the lock as it is then; `new`: under a new token. */
type Told = 'RES_CONFLICT' | 'RES_NOT_FOUND' | 'nobody' | 'held' | 'new'

const owner = fc.constantFrom('ann', 'bob', 'cat')
const ttlMs = fc.constantFrom(undefined, 0, -5, 100, 1000, 60_000)
const given = <K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } =>
  (value === undefined ? {} : { [key]: value }) as { [P in K]?: V }

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .tuple(owner, fc.constantFrom(undefined, 'exclusive', 'shared', 'shared'), ttlMs)
      .map(([who, mode, ttl]): Act => ({
        kind: 'acquire',
        owner: who,
        ...given('mode', mode as LockMode | undefined),
        ...given('ttlMs', ttl),
      })),
  },
  { weight: 3, arbitrary: owner.map((who): Act => ({ kind: 'release', owner: who })) },
  {
    weight: 1,
    arbitrary: fc.tuple(owner, ttlMs).map(([who, ttl]): Act => ({ kind: 'renew', owner: who, ...given('ttlMs', ttl) })),
  },
)
const place = { tenant: fc.constantFrom('a' as const, 'a' as const, 'b' as const), resource: fc.constantFrom(0, 0, 1) }
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('act' as const), ...place, act }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('race' as const),
      ...place,
      acts: fc.array(act, { minLength: 2, maxLength: 3 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1, 99, 100, 1000, 30_000) }),
  },
)

/** All that must have been seen in a campaign. */
const MUST_SEE: readonly string[] = [
  'acquire new',
  'acquire held',
  'acquire RES_CONFLICT',
  'release nobody',
  'release held',
  'release RES_CONFLICT',
  'renew held',
  'renew RES_CONFLICT',
  'renew RES_NOT_FOUND',
  'joined',
  'upgraded',
  'taken after its time',
  'race',
]

function apply(lock: Held | undefined, { kind, owner: who, ...rest }: Act, now: number): [Told, Held | undefined] {
  const live = lock && lock.expiresAt > now ? lock : undefined
  const until = now + ('ttlMs' in rest && rest.ttlMs !== undefined && rest.ttlMs > 0 ? rest.ttlMs : 30_000)
  if (kind === 'renew') {
    if (!live) return ['RES_NOT_FOUND', undefined]
    return live.owners[who] ? ['held', { ...live, expiresAt: until }] : ['RES_CONFLICT', live]
  }
  if (kind === 'release') {
    if (!live) return ['nobody', undefined]
    const count = live.owners[who]
    if (!count) return ['RES_CONFLICT', live]
    const owners = Object.fromEntries(
      Object.entries({ ...live.owners, [who]: count - 1 }).filter(([, holds]) => holds > 0),
    )
    return Object.keys(owners).length ? ['held', { ...live, owners }] : ['nobody', undefined]
  }
  const mode = ('mode' in rest ? rest.mode : undefined) ?? 'exclusive'
  if (!live) return ['new', { mode, owners: { [who]: 1 }, expiresAt: until, token: undefined }]
  const alone = Object.keys(live.owners).every((other) => other === who)
  const owners = { ...live.owners, [who]: (live.owners[who] ?? 0) + 1 }
  if (live.mode === 'exclusive') return alone ? ['held', { ...live, owners, expiresAt: until }] : ['RES_CONFLICT', live]
  if (mode === 'shared') return ['held', { ...live, owners, expiresAt: until }]
  return alone ? ['new', { mode, owners, expiresAt: until, token: undefined }] : ['RES_CONFLICT', live]
}

/** Plays random sequences of acts on locks against a real database, and holds each answer and each state against the model. */
export async function playLocks(
  world: World,
  options: SequenceOptions,
): Promise<{ divergences: string[]; seen: Seen; wanted: readonly string[] }> {
  const seen = new Seen()
  let made = 0
  const divergences = await playSequences(
    fc.array(command, { minLength: 1, maxLength: 12 }),
    (commands) => new Sequence(world, seen, `m${made++}`).play(commands),
    options,
  )
  return { divergences, seen, wanted: MUST_SEE }
}

class Sequence {
  readonly #world: World
  readonly #seen: Seen
  readonly #name: string
  readonly #clock = testClock(1_800_000_000_000)
  readonly #locks = openLocks({ clock: this.#clock })
  readonly #held = new Map<string, Held | undefined>()
  #lastToken = 0

  constructor(world: World, seen: Seen, name: string) {
    this.#world = world
    this.#seen = seen
    this.#name = name
  }

  async play(commands: readonly Command[]): Promise<void> {
    for (const each of commands) {
      if (each.kind === 'wait') this.#clock.advance(each.ms)
      else if (each.kind === 'race') await this.#race(each)
      else await this.#one(each)
    }
  }

  async #one({ tenant, resource, act: given_ }: Extract<Command, { kind: 'act' }>): Promise<void> {
    const key = `${tenant}${resource}`
    const before = this.#held.get(key)
    const now = this.#clock.now()
    const [told, after] = apply(before, given_, now)
    const [really, lock, read] = await this.#do(tenant, resource, given_)
    assert.equal(really, told === 'new' ? 'held' : told, `${given_.kind} by ${given_.owner}`)
    if (lock) assert.deepEqual(lock, read, 'what is answered is what is stored')
    this.#compare(key, after, read)
    this.#seen.note(`${given_.kind} ${told}`)
    if (told === 'new' && before) this.#seen.note(before.expiresAt > now ? 'upgraded' : 'taken after its time')
    if (told === 'held' && given_.kind === 'acquire' && after && Object.keys(after.owners).length > 1)
      this.#seen.note('joined')
  }

  /** Several at once: there must be an order in which the model gives the same answers and the same end. */
  async #race({ tenant, resource, acts }: Extract<Command, { kind: 'race' }>): Promise<void> {
    const key = `${tenant}${resource}`
    const now = this.#clock.now()
    const really = await Promise.all(acts.map((each) => this.#do(tenant, resource, each)))
    const [, , read] = await this.#do(tenant, resource, undefined)
    const fits = orders(acts.map((_, at) => at)).find((order) => {
      let lock = this.#held.get(key)
      const same = order.every((at) => {
        const [told, after] = apply(lock, acts[at] as Act, now)
        lock = after
        return (told === 'new' ? 'held' : told) === really[at]?.[0]
      })
      return same && looks(lock) === looks(read)
    })
    assert(
      fits,
      `no order of ${JSON.stringify(acts)} explains ${JSON.stringify(really.map(([told]) => told))} and ${looks(read)}`,
    )
    let end = this.#held.get(key)
    for (const at of fits) end = apply(end, acts[at] as Act, now)[1]
    this.#compare(key, end, read)
    this.#seen.note('race')
  }

  #compare(key: string, wanted: Held | undefined, read: Lock | undefined): void {
    assert.equal(looks(read), looks(wanted))
    if (read && wanted) {
      if (wanted.token === undefined)
        assert(read.token > this.#lastToken, `token ${read.token} is not above ${this.#lastToken}`)
      else assert.equal(read.token, wanted.token, 'a joined or repeated hold keeps the token')
      this.#lastToken = Math.max(this.#lastToken, read.token)
    }
    this.#held.set(key, wanted && { ...wanted, token: read?.token })
  }

  /** In a transaction of its own: the act, and the lock as it is then. */
  #do(
    tenant: 'a' | 'b',
    resource: number,
    given_: Act | undefined,
  ): Promise<[Told, Lock | undefined, Lock | undefined]> {
    const name = `${this.#name}-${resource}`
    const { kernel } = this.#world
    return kernel.db.tenant(this.#world[tenant].id, async (tx) => {
      let told: Told = 'nobody'
      let lock: Lock | undefined
      try {
        if (given_) {
          const { kind, ...take } = given_
          lock = await this.#locks[kind](tx, { resource: name, ...take })
        }
        if (lock) told = 'held'
      } catch (error) {
        if (!(error instanceof Fault)) throw error
        told = error.code as Told
      }
      return [told, lock, await this.#locks.read(tx, name)]
    })
  }
}

const looks = (lock: Pick<Lock, 'mode' | 'owners' | 'expiresAt'> | undefined): string =>
  lock
    ? JSON.stringify([lock.mode, Object.entries(lock.owners).toSorted(([a], [b]) => (a < b ? -1 : 1)), lock.expiresAt])
    : 'free'
