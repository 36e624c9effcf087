import assert from 'node:assert/strict'
import { Fault } from '@wheelhouse/contract'
import * as fc from 'fast-check'
import { type Approval, openApprovals } from '../../kernel/approvals/index.ts'
import { ids, testClock } from '../../kernel/clock/index.ts'
import { sql, type Tx } from '../../kernel/db/index.ts'
import type { Principal } from '../../kernel/identity/index.ts'
import type { World } from '../world.ts'
import { orders, playSequences, Seen, type SequenceOptions } from './sequences.ts'

// The approval contract of the product and decisions D5, as a model: who may vote, when votes count, and how it ends, once.

const NAMES = ['ann', 'ann-key', 'bob', 'cat', 'dan', 'eve'] as const
type Name = (typeof NAMES)[number]

/** `ann` asks; `ann-key` is her other credential; `dan` has no right to decide; `eve` has it for other things only. */
const PEOPLE: Readonly<Record<Name, { person: string; roles: string[]; decides: boolean }>> = {
  ann: { person: 'ann', roles: ['operator'], decides: true },
  'ann-key': { person: 'ann', roles: ['operator', 'security'], decides: true },
  bob: { person: 'bob', roles: ['operator'], decides: true },
  cat: { person: 'cat', roles: ['security'], decides: true },
  dan: { person: 'dan', roles: ['operator', 'security'], decides: false },
  eve: { person: 'eve', roles: ['viewer'], decides: true },
}

interface Terms {
  required: number
  roles: readonly string[]
  /** Null: as the tenant says, which is no. */
  allowSelf: boolean | null
}

interface Model {
  terms: Terms
  digest: string
  stage: number
  state: Approval['state']
  expiresAt: number | null
  votes: Map<string, 'approve' | 'reject'>
}

type Act =
  | { kind: 'decide'; who: Name; vote: 'approve' | 'reject' }
  | { kind: 'withdraw' }
  | { kind: 'expire' }
  | { kind: 'rebind'; digest: string; terms: Terms }

type Command =
  | { kind: 'ask'; terms: Terms; inMs: number | null }
  | { kind: 'wait'; ms: number }
  | { kind: 'race'; acts: Act[] }
  | { kind: 'act'; act: Act }

type Told = 'voted' | 'approved' | 'rejected' | 'expired' | 'withdrawn' | 'rebound' | 'nothing' | Refusal
type Refusal = 'PERM_DENIED' | 'PERM_APPROVER' | 'PERM_SELF_APPROVAL' | 'RES_CONFLICT'

const terms = fc.record({
  required: fc.constantFrom(1, 1, 2, 3),
  roles: fc.constantFrom([], [], ['operator'], ['security'], ['operator', 'security']),
  allowSelf: fc.constantFrom(null, false, true),
})
const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('decide' as const),
      who: fc.constantFrom(...NAMES, 'bob' as const, 'cat' as const, 'bob' as const, 'cat' as const),
      vote: fc.constantFrom('approve' as const, 'approve' as const, 'approve' as const, 'reject' as const),
    }),
  },
  { weight: 1, arbitrary: fc.constant<Act>({ kind: 'withdraw' }) },
  { weight: 1, arbitrary: fc.constant<Act>({ kind: 'expire' }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('rebind' as const), digest: fc.constantFrom('r1', 'r2'), terms }),
  },
)
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('ask' as const), terms, inMs: fc.constantFrom(null, null, 0, 1000) }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('act' as const), act }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('race' as const),
      acts: fc.array(
        act.filter(({ kind }) => kind !== 'rebind'),
        { minLength: 2, maxLength: 3 },
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1, 999, 1000) }) },
)
const sequence = fc
  .tuple(
    fc.record({ kind: fc.constant('ask' as const), terms, inMs: fc.constantFrom(null, 1000) }),
    fc.array(command, { maxLength: 8 }),
  )
  .map(([first, rest]): Command[] => [first, ...rest])

const MUST_SEE: readonly string[] = [
  'decide voted',
  'decide approved',
  'decide rejected',
  'decide PERM_DENIED',
  'decide PERM_APPROVER',
  'decide PERM_SELF_APPROVAL',
  'decide RES_CONFLICT',
  'withdraw withdrawn',
  'withdraw nothing',
  'expire expired',
  'expire nothing',
  'rebind rebound',
  'asked again',
  'open already',
  'race',
  'votes of before do not count',
  'a changed mind',
  'one person twice',
  'too late',
]

const isOpen = (model: Model | undefined): model is Model => model?.state === 'open'

function apply(model: Model | undefined, given: Act, now: number): [Told, Model | undefined] {
  if (!isOpen(model)) return [given.kind === 'decide' ? 'RES_CONFLICT' : 'nothing', model]
  const over = model.expiresAt !== null && model.expiresAt <= now
  switch (given.kind) {
    case 'withdraw':
      return ['withdrawn', { ...model, state: 'withdrawn' }]
    case 'expire':
      return over ? ['expired', { ...model, state: 'expired' }] : ['nothing', model]
    case 'rebind': {
      const stage = given.digest === model.digest ? model.stage : model.stage + 1
      return [
        'rebound',
        {
          ...model,
          terms: given.terms,
          digest: given.digest,
          stage,
          votes: stage === model.stage ? model.votes : new Map(),
        },
      ]
    }
    case 'decide': {
      if (over) return ['RES_CONFLICT', model]
      const refused = refusal(model, given.who)
      if (refused) return [refused, model]
      const votes = new Map(model.votes).set(PEOPLE[given.who].person, given.vote)
      if (given.vote === 'reject') return ['rejected', { ...model, votes, state: 'rejected' }]
      const enough = [...votes.values()].filter((vote) => vote === 'approve').length >= model.terms.required
      return enough ? ['approved', { ...model, votes, state: 'approved' }] : ['voted', { ...model, votes }]
    }
  }
}

function refusal({ terms: { roles, allowSelf } }: Model, who: Name): Refusal | undefined {
  const { person, roles: own, decides } = PEOPLE[who]
  if (!decides) return 'PERM_DENIED'
  if (roles.length > 0 && !roles.some((role) => own.includes(role))) return 'PERM_APPROVER'
  return person === 'ann' && allowSelf !== true ? 'PERM_SELF_APPROVAL' : undefined
}

/** Plays random sequences of asking, voting, rebinding and running out of time, and holds each answer and each state against the model. */
export async function playApprovals(
  world: World,
  options: Omit<SequenceOptions, 'lanes'>,
): Promise<{ divergences: string[]; seen: Seen; wanted: readonly string[] }> {
  const seen = new Seen()
  const stage = new Stage(world, seen)
  let made = 0
  const divergences = await playSequences(sequence, (commands) => stage.play(`m${made++}`, commands), options)
  return { divergences, seen, wanted: MUST_SEE }
}

/** One sequence after another: expiry looks at all approvals there are. */
class Stage {
  readonly #world: World
  readonly #seen: Seen
  /** Beyond the server's own time, whose sweep must not expire what this one asks. */
  readonly #clock = testClock(4_000_000_000_000)
  readonly #approvals
  readonly #people: Readonly<Record<Name, Principal>>
  readonly #names: ReadonlyMap<string, string>
  /** How often the end of each approval was handled. */
  readonly #handled = new Map<string, string[]>()
  #refId = ''
  #model: Model | undefined
  #known: string[] = []

  constructor(world: World, seen: Seen) {
    this.#world = world
    this.#seen = seen
    this.#approvals = openApprovals({ db: world.kernel.db, clock: this.#clock })
    this.#approvals.onDecided('admin', (tx: Tx, approval, { outcome }) => {
      tx.afterCommit(() => void this.#handled.set(approval.id, [...(this.#handled.get(approval.id) ?? []), outcome]))
      return Promise.resolve()
    })
    const persons = new Map(Object.values(PEOPLE).map(({ person }) => [person, ids.next()]))
    this.#names = new Map([...persons].map(([person, id]) => [id, person]))
    const made = NAMES.map((name) => [name, principalOf(world, name, persons.get(PEOPLE[name].person) ?? '')] as const)
    this.#people = Object.fromEntries(made) as Record<Name, Principal>
  }

  async play(refId: string, commands: readonly Command[]): Promise<void> {
    this.#refId = refId
    this.#model = undefined
    this.#known = []
    this.#handled.clear()
    try {
      for (const each of commands) {
        if (each.kind === 'wait') this.#clock.advance(each.ms)
        else if (each.kind === 'ask') await this.#ask(each)
        else if (each.kind === 'act') await this.#one(each.act)
        else await this.#race(each.acts)
      }
      await this.#checkEnds()
    } finally {
      await this.#do({ kind: 'withdraw' })
    }
  }

  async #ask({ terms: given, inMs }: Extract<Command, { kind: 'ask' }>): Promise<void> {
    const open = isOpen(this.#model)
    const expiresAt = inMs === null ? null : this.#clock.now() + inMs
    try {
      const asked = await this.#tenant((tx) =>
        this.#approvals.ask(tx, this.#people.ann, {
          kind: 'admin',
          refId: this.#refId,
          hash: 'h',
          ruleDigest: 'r1',
          ...given,
          expiresAt,
          show: {},
        }),
      )
      assert(!open, 'two are open for the same thing')
      if (this.#model) this.#seen.note('asked again')
      this.#known.push(asked.id)
      this.#model = { terms: given, digest: 'r1', stage: asked.stage, state: 'open', expiresAt, votes: new Map() }
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== 'RES_CONFLICT') throw error
      assert(open, 'it was refused although none is open')
      this.#seen.note('open already')
    }
    await this.#compare()
  }

  async #one(given: Act): Promise<void> {
    const before = this.#model
    const [told, after] = apply(before, given, this.#clock.now())
    assert.equal(await this.#do(given), told, JSON.stringify(given))
    this.#model = after
    await this.#compare()
    this.#seen.note(`${given.kind} ${told}`)
    if (given.kind === 'rebind' && before && after && before.votes.size > after.votes.size)
      this.#seen.note('votes of before do not count')
    if (given.kind !== 'decide' || !before) return
    const earlier = before.votes.get(PEOPLE[given.who].person)
    if (earlier === 'approve' && told === 'rejected') this.#seen.note('a changed mind')
    if (earlier === 'approve' && told === 'voted') this.#seen.note('one person twice')
    if (isOpen(before) && told === 'RES_CONFLICT') this.#seen.note('too late')
  }

  /** Several at once: there must be an order that explains the answers and the end. Expiry may pass over what another one has in its hands. */
  async #race(acts: readonly Act[]): Promise<void> {
    const now = this.#clock.now()
    const really = await Promise.all(acts.map((each) => this.#do(each)))
    const stored = await this.#stored()
    const all = acts.map((_, at) => at)
    const worked = [all, all.filter((at) => acts[at]?.kind !== 'expire')]
    const end = worked.flatMap(orders).flatMap((order) => {
      let model = this.#model
      for (const at of order) {
        const [told, after] = apply(model, acts[at] as Act, now)
        if (acts[at]?.kind !== 'expire' && told !== really[at]) return []
        model = after
      }
      return this.#looks(model) === stored ? [{ model }] : []
    })[0]
    assert(end, `no order of ${JSON.stringify(acts)} explains ${really.join(', ')} and ${stored}`)
    this.#model = end.model
    this.#seen.note('race')
  }

  async #compare(): Promise<void> {
    assert.equal(await this.#stored(), this.#looks(this.#model))
  }

  #looks(model: Model | undefined): string {
    if (!model) return 'none'
    const {
      state,
      stage,
      terms: { required, roles },
      votes,
    } = model
    return JSON.stringify([state, stage, required, roles, sorted([...votes])])
  }

  async #stored(): Promise<string> {
    const found = await this.#tenant((tx) => this.#approvals.latest(tx, 'admin', this.#refId))
    if (!found) return 'none'
    const votes = await this.#tenant((tx) =>
      tx.many<{ personId: string; vote: 'approve' | 'reject' }>(sql`
        select person_id as "personId", vote from approval_votes where approval_id = ${found.id} and stage = ${found.stage}`),
    )
    const { state, stage, required, roles } = found
    const named = votes.map(({ personId, vote }): [string, string] => [this.#names.get(personId) ?? personId, vote])
    return JSON.stringify([state, stage, required, roles, sorted(named)])
  }

  /** Whoever waits for an approval hears of its end once; of a withdrawal never. */
  async #checkEnds(): Promise<void> {
    for (const id of this.#known) {
      const { state } = await this.#tenant((tx) =>
        tx.one<{ state: string }>(sql`select state from approvals where id = ${id}`),
      )
      const heard = this.#handled.get(id) ?? []
      assert.deepEqual(heard, state === 'open' || state === 'withdrawn' ? [] : [state], `end of ${id}`)
    }
  }

  async #do(given: Act): Promise<Told> {
    try {
      if (given.kind === 'expire') return (await this.#approvals.expire()) > 0 ? 'expired' : 'nothing'
      return await this.#tenant(async (tx) => {
        const open = await this.#approvals.open(tx, 'admin', this.#refId)
        if (given.kind === 'withdraw') {
          await this.#approvals.withdraw(tx, 'admin', this.#refId)
          return open ? 'withdrawn' : 'nothing'
        }
        if (!open) return given.kind === 'decide' ? 'RES_CONFLICT' : 'nothing'
        if (given.kind === 'rebind') {
          await this.#approvals.rebind(tx, open, { ...given.terms, ruleDigest: given.digest })
          return 'rebound'
        }
        const { state } = await this.#approvals.decide(tx, this.#people[given.who], open, { vote: given.vote })
        return state === 'open' ? 'voted' : (state as Told)
      })
    } catch (error) {
      if (error instanceof Fault) return error.code as Refusal
      throw error
    }
  }

  #tenant<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.#world.kernel.db.tenant(this.#world.a.id, work)
  }
}

const sorted = (entries: readonly (readonly [string, string])[]): readonly (readonly [string, string])[] =>
  entries.toSorted(([a], [b]) => (a < b ? -1 : 1))

const principalOf = ({ a }: World, name: Name, ownerId: string): Principal => ({
  tenantId: a.id,
  tenantSlug: a.slug,
  id: ids.next(),
  kind: 'key',
  subject: name,
  name,
  roles: PEOPLE[name].roles,
  groups: [],
  grants: [[PEOPLE[name].decides ? 'approval:decide' : 'job:read']],
  ownerId,
  onBehalfOf: [],
  credential: 'key',
})
