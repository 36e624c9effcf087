import assert from 'node:assert/strict'
import { Fault } from '@wheelhouse/contract'
import { JobStatus } from '@wheelhouse/contract/proto/cap_pb'
import { ids } from '../../kernel/clock/index.ts'
import { sql } from '../../kernel/db/index.ts'
import { type JobState, jobState, type QueueState } from '../../kernel/jobs/index.ts'
import type { World } from '../world.ts'
import { JobDesk, type TopicName, TOPICS } from './job-desk.ts'
import { type Command, type Sequence, sequences, topics, type Who, type Word } from './job-sequences.ts'
import { playSequences, Seen, type SequenceOptions } from './sequences.ts'

// jobs.md 17.1 with its fixes, as a model: what a job's state is after each command, and what is refused.

const MUST_SEE: readonly string[] = [
  ...topics.map((topic) => `submitted ${topic}`),
  ...(['SUCCEEDED', 'FAILED', 'TIMEOUT', 'DENIED', 'CANCELLED', 'RUNNING'] as const).map(
    (each) => `running on ${each}`,
  ),
  'tried again',
  'stray passed over running',
  'stray passed over held',
  'stray passed over pending',
  'late result',
  'a worker on a verb',
  'cancel pending',
  'cancel held',
  'cancel running',
  'cancel ended',
  'approve held',
  'first of two',
  'reject held',
  'vote PERM_SELF_APPROVAL',
  'vote RES_CONFLICT',
  'again RES_CONFLICT',
  'again',
  'replayed',
  'other under the same key',
  'unknown',
  'race',
  'timed out pending',
  'timed out held',
  'timed out running',
]

const ENDED: readonly JobState[] = ['succeeded', 'failed', 'cancelled', 'timed_out', 'denied']
const OUTCOME: Readonly<Record<Word, JobState>> = {
  SUCCEEDED: 'succeeded',
  FAILED: 'failed',
  TIMEOUT: 'timed_out',
  DENIED: 'denied',
  CANCELLED: 'cancelled',
  RUNNING: 'failed',
}
/** Jobs that end with their submission. */
const BORN: Partial<Record<TopicName, JobState>> = { no: 'denied', unmapped: 'failed' }
const isVerb = (topic: TopicName): topic is 'act' | 'actAsk' => topic === 'act' || topic === 'actAsk'
const votesFor = (topic: TopicName): number => (topic === 'askTwo' ? 2 : topic === 'ask' || topic === 'actAsk' ? 1 : 0)
/** Whether anybody takes it once it may run. */
const isServed = (topic: TopicName): boolean => !['no', 'later', 'nobody', 'unmapped'].includes(topic)
const attemptsOf = (topic: TopicName): number => (topic === 'again' || isVerb(topic) ? 2 : 1)

/** Plays random sequences of commands on jobs of a whole server with a worker and verbs, and holds each answer and state against the model. */
export async function playJobs(
  world: World,
  options: SequenceOptions,
): Promise<{ divergences: string[]; seen: Seen; wanted: readonly string[] }> {
  const seen = new Seen()
  const desk = await JobDesk.open(world)
  const ended = new Map<string, JobState>()
  try {
    const divergences = await playSequences(sequences, (each) => new JobSequence(desk, seen, ended).play(each), options)
    await desk.flush()
    return { divergences: [...divergences, ...(await checkRecords(desk, ended))], seen, wanted: MUST_SEE }
  } finally {
    await desk.close()
  }
}

class JobSequence {
  readonly #desk: JobDesk
  readonly #seen: Seen
  readonly #ended: Map<string, JobState>
  readonly #key = ids.next()
  #topic: TopicName = 'free'
  #jobId = ''
  /** Of the first submission, which the key stands for. */
  #first = ''
  #deadline = 0
  #state: JobState = 'pending'
  #attempt = 1
  #agreed = new Set<Who>()

  constructor(desk: JobDesk, seen: Seen, ended: Map<string, JobState>) {
    this.#desk = desk
    this.#seen = seen
    this.#ended = ended
  }

  async play({ topic, timed, commands }: Sequence): Promise<void> {
    this.#topic = topic
    const inTime = timed && topic !== 'later' && !BORN[topic]
    this.#deadline = inTime ? 400 : 0
    this.#first = await this.#submit(this.#key, this.#deadline)
    this.#begin(this.#first)
    this.#seen.note(`submitted ${topic}`)
    if (inTime) await this.#waitOut()
    await this.#compare()
    for (const each of commands) {
      await this.#command(each)
      await this.#compare()
    }
    // Nothing is left to lie in the queue of the next ones.
    if (!this.#over) await this.#cancel()
    this.#ended.set(this.#jobId, this.#state)
  }

  get #over(): boolean {
    return ENDED.includes(this.#state)
  }

  /** It may run, and somebody takes it: it is, or soon will be, in their hands. */
  get #running(): boolean {
    return this.#state === 'pending' && isServed(this.#topic)
  }

  #begin(jobId: string): void {
    this.#jobId = jobId
    this.#attempt = 1
    this.#agreed = new Set()
    this.#state = BORN[this.#topic] ?? (votesFor(this.#topic) > 0 ? 'held' : 'pending')
  }

  async #submit(key: string, deadlineMs: number): Promise<string> {
    const { world, people, verbs } = this.#desk
    const { jobs, db } = world.kernel
    if (isVerb(this.#topic)) {
      const verb = verbs[this.#topic]
      const timeoutMs = deadlineMs > 0 && this.#topic === 'act' ? { timeoutMs: deadlineMs } : {}
      return (await db.tenant(world.a.id, (tx) => jobs.submit(tx, people.ann, verb, {}, { key, ...timeoutMs }))).jobId
    }
    const budget = deadlineMs > 0 ? { budget: { deadlineMs } } : {}
    const request = { topic: TOPICS[this.#topic], tenant: world.a.slug, principalId: 'ann', ...budget }
    return (await jobs.submitBatched(people.ann, { request, context: '{}', key })).jobId
  }

  /** Its time passes. A held verb has no limit of its own: it goes on waiting. */
  async #waitOut(): Promise<void> {
    if (this.#topic === 'actAsk') return
    const before = this.#running ? 'running' : this.#state
    if (this.#running) await this.#desk.arrival(this.#jobId, 1)
    await this.#ends('timed_out')
    this.#seen.note(`timed out ${before}`)
  }

  #command(given: Command): Promise<void> {
    switch (given.kind) {
      case 'result':
        return this.#result(given)
      case 'cancel':
        return this.#cancel()
      case 'vote':
        return this.#vote(given)
      case 'again':
        return this.#again()
      case 'resubmit':
        return this.#resubmit(given.same)
      case 'unknown':
        return this.#unknown()
      case 'race':
        return this.#race(given)
    }
  }

  async #result({ word: said, stray }: Extract<Command, { kind: 'result' }>): Promise<void> {
    if (this.#over) {
      this.#desk.sendResult(this.#jobId, JobStatus[said], 0)
      return this.#seen.note('late result')
    }
    if (stray || !this.#running) {
      if (this.#running) await this.#desk.arrival(this.#jobId, this.#attempt)
      this.#desk.sendResult(this.#jobId, JobStatus[said], 987_654)
      return this.#seen.note(`stray passed over ${this.#running ? 'running' : this.#state}`)
    }
    const { fence, end } = await this.#desk.arrival(this.#jobId, this.#attempt)
    if (end) return this.#verbEnds(said, end)
    this.#desk.sendResult(this.#jobId, JobStatus[said], fence)
    const outcome = OUTCOME[said]
    this.#seen.note(`running on ${said}`)
    if ((outcome === 'failed' || outcome === 'timed_out') && this.#attempt < attemptsOf(this.#topic))
      await this.#triedAgain()
    else await this.#ends(outcome)
  }

  async #verbEnds(said: Word, end: (how: 'succeeded' | 'failed' | 'retriable') => void): Promise<void> {
    // A worker's word about a verb's job is nobody's.
    this.#desk.sendResult(this.#jobId, JobStatus.DENIED, 0)
    this.#seen.note('a worker on a verb')
    end(said === 'SUCCEEDED' ? 'succeeded' : said === 'TIMEOUT' ? 'retriable' : 'failed')
    if (said === 'TIMEOUT' && this.#attempt < attemptsOf(this.#topic)) await this.#triedAgain()
    else await this.#ends(said === 'SUCCEEDED' ? 'succeeded' : 'failed')
  }

  async #triedAgain(): Promise<void> {
    this.#attempt++
    await this.#desk.arrival(this.#jobId, this.#attempt)
    this.#seen.note('tried again')
  }

  async #ends(state: JobState): Promise<void> {
    const { world } = this.#desk
    const end = await world.kernel.jobs.wait(world.a.id, this.#jobId, 60_000)
    assert.equal(end?.kind, state, `${this.#jobId} ends`)
    this.#state = state
  }

  async #cancel(): Promise<void> {
    const before = this.#running && this.#desk.count(this.#jobId) >= this.#attempt ? 'running' : this.#state
    const told = await this.#cancelNow(this.#jobId)
    assert.deepEqual(told, this.#over ? { state: this.#state, changed: false } : { state: 'cancelled', changed: true })
    this.#seen.note(`cancel ${this.#over ? 'ended' : before}`)
    if (!this.#over) this.#state = 'cancelled'
  }

  #cancelNow(jobId: string) {
    const { world, people } = this.#desk
    const { jobs, db } = world.kernel
    return db.tenant(world.a.id, (tx) => jobs.cancel(tx, people.ann, jobId, 'model'))
  }

  async #vote({ who, vote: given }: Extract<Command, { kind: 'vote' }>): Promise<void> {
    const code = await this.#voteNow(who, given, this.#jobId)
    const refused = this.#state === 'held' ? (who === 'ann' ? 'PERM_SELF_APPROVAL' : undefined) : 'RES_CONFLICT'
    assert.equal(code, refused, `${who} votes to ${given}`)
    if (refused) return this.#seen.note(`vote ${refused}`)
    if (given === 'reject') {
      this.#state = 'denied'
      return this.#seen.note('reject held')
    }
    this.#agreed.add(who)
    const enough = this.#agreed.size >= votesFor(this.#topic)
    if (enough) this.#state = 'pending'
    this.#seen.note(enough ? 'approve held' : 'first of two')
  }

  /** The code of the refusal; undefined: it counted. */
  async #voteNow(who: Who, given: 'approve' | 'reject', jobId: string): Promise<string | undefined> {
    const { world, people } = this.#desk
    const { jobs, db } = world.kernel
    try {
      await db.tenant(world.a.id, async (tx) => {
        await jobs.holds[given](tx, people[who], jobId, {})
      })
      return undefined
    } catch (error) {
      if (error instanceof Fault) return error.code
      throw error
    }
  }

  async #again(): Promise<void> {
    const { world, people } = this.#desk
    const again = { as: 'retry' as const, key: ids.next(), traceId: ids.next(), labels: {} }
    try {
      const { jobId } = await world.kernel.jobs.submitAgain(people.ann, this.#jobId, again)
      assert(this.#over, 'a job that lives was submitted again')
      this.#ended.set(this.#jobId, this.#state)
      this.#begin(jobId)
      this.#seen.note('again')
      // The clone has the deadline of its request; that of a verb's call is not part of it.
      if (this.#deadline > 0 && !isVerb(this.#topic) && !BORN[this.#topic]) await this.#waitOut()
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      assert.equal(error.code, 'RES_CONFLICT')
      assert(!this.#over, 'a job that has ended was not submitted again')
      this.#seen.note('again RES_CONFLICT')
    }
  }

  async #resubmit(same: boolean): Promise<void> {
    const { world, people } = this.#desk
    const topic = TOPICS[this.#topic]
    if (same || isVerb(this.#topic)) return this.#replay()
    const request = { topic, tenant: world.a.slug, principalId: 'ann', labels: { other: 'yes' } }
    const refused = await world.kernel.jobs.submitBatched(people.ann, { request, context: '{}', key: this.#key }).then(
      () => undefined,
      (error: unknown) => error,
    )
    assert(refused instanceof Fault && refused.code === 'RES_IDEMPOTENCY_CONFLICT', 'other work under the same key')
    this.#seen.note('other under the same key')
  }

  async #replay(): Promise<void> {
    const { world } = this.#desk
    const rows = () =>
      world.kernel.db.tenant(world.a.id, (tx) =>
        tx.one<{ jobs: number }>(sql`select count(*)::int as jobs from jobs where id like ${`${this.#first}%`}`),
      )
    const before = await rows()
    assert.equal(await this.#submit(this.#key, this.#deadline), this.#first)
    assert.deepEqual(await rows(), before)
    this.#seen.note('replayed')
  }

  async #unknown(): Promise<void> {
    const nobody = ids.next()
    assert.equal(await this.#voteNow('bob', 'approve', nobody), 'JOB_NOT_FOUND')
    await assert.rejects(this.#cancelNow(nobody), (error) => error instanceof Fault && error.code === 'JOB_NOT_FOUND')
    this.#seen.note('unknown')
  }

  /** What was first in the database wins; the others are refused or change nothing. */
  async #race({ cancel, result, approve, reject }: Extract<Command, { kind: 'race' }>): Promise<void> {
    if (this.#over || this.#topic === 'askTwo') return
    const held = this.#state === 'held'
    const arrival = this.#running ? await this.#desk.arrival(this.#jobId, this.#attempt) : undefined
    const said = arrival && result
    const votes = await Promise.all([
      approve ? this.#voteNow('bob', 'approve', this.#jobId) : 'none',
      reject ? this.#voteNow('cat', 'reject', this.#jobId) : 'none',
      cancel ? this.#cancelNow(this.#jobId) : undefined,
      said ? this.#word(said, arrival) : undefined,
    ])
    const [approved, rejected, cancelled] = votes
    if (held) assert(approved !== undefined || rejected !== undefined, 'it was approved and rejected')
    if (!held) assert(approved !== undefined && rejected !== undefined, 'there was nothing to vote about')
    const outcome = said && (isVerb(this.#topic) ? (said === 'SUCCEEDED' ? 'succeeded' : 'failed') : OUTCOME[said])
    if (cancelled?.changed) await this.#ends('cancelled')
    else if (rejected === undefined) await this.#ends('denied')
    else if (outcome) await this.#ends(outcome)
    else if (approved === undefined) this.#state = 'pending'
    if (cancelled && !cancelled.changed)
      assert(outcome === cancelled.state || cancelled.state === 'denied', `lost to ${cancelled.state}`)
    this.#seen.note('race')
  }

  #word(said: Word, { fence, end }: Awaited<ReturnType<JobDesk['arrival']>>): void {
    if (end) end(said === 'SUCCEEDED' ? 'succeeded' : 'failed')
    else this.#desk.sendResult(this.#jobId, JobStatus[said], fence)
  }

  async #compare(): Promise<void> {
    const real = await stateOf(this.#desk.world, this.#jobId)
    if (this.#running) assert(real === 'pending' || real === 'running', `${this.#jobId} may run, and is ${real}`)
    else assert.equal(real, this.#state, this.#jobId)
  }
}

async function stateOf({ kernel, a }: World, jobId: string): Promise<JobState | undefined> {
  const row = await kernel.db.tenant(a.id, (tx) =>
    tx.maybe<{ state: string; queue: QueueState | null }>(sql`
      select j.state, q.state as queue from jobs j left join job_queue q on q.tenant_id = j.tenant_id and q.id = j.id where j.id = ${jobId}`),
  )
  return row && jobState(row.state, row.queue)
}

/** When all is over: no end has changed, each was told once, verbs were settled once, and what went wrong is a dead letter. */
async function checkRecords(desk: JobDesk, ended: ReadonlyMap<string, JobState>): Promise<string[]> {
  const { world } = desk
  const wrong: string[] = []
  const known = [...ended]
  for (let from = 0; from < known.length; from += 1000) {
    const part = known.slice(from, from + 1000)
    const rows = await world.kernel.db.tenant(world.a.id, (tx) =>
      tx.many<{ id: string; state: string; queued: boolean; dead: boolean; verb: string | null; topic: string }>(sql`
        select j.id, j.state, j.verb, j.topic, exists (select 1 from job_queue q where q.id = j.id and q.state <> 'cancelling') as queued,
          exists (select 1 from dead_letters d where d.job_id = j.id) as dead
          from jobs j where j.id = any(${part.map(([id]) => id)})`),
    )
    const byId = new Map(rows.map((row) => [row.id, row]))
    for (const [id, state] of part) {
      const row = byId.get(id)
      if (row?.state !== state) wrong.push(`job ${id} ended as ${state} and is ${row?.state}`)
      if (row?.queued) wrong.push(`job ${id} has ended and is in the queue`)
      if (row?.dead && state === 'succeeded') wrong.push(`job ${id} succeeded and is a dead letter`)
      if (!row?.dead && ['failed', 'timed_out', 'denied'].includes(state))
        wrong.push(`job ${id} ${state} and is no dead letter`)
      const settled = desk.settled.get(id) ?? []
      if (settled.length > 1) wrong.push(`the verb of ${id} was settled ${settled.length} times`)
      if (row?.verb && settled[0] !== state)
        wrong.push(`the verb of ${id} was settled as ${settled[0]}, and it is ${state}`)
    }
  }
  return wrong
}
