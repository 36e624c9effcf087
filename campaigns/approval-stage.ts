import { createHash } from 'node:crypto'
import { Type } from 'typebox'
import type { JobRequest as Packet } from '../packages/contract/src/proto/cap_pb.ts'
import { sql } from '../apps/server/src/kernel/db/index.ts'
import type { Verb } from '../apps/server/src/kernel/jobs/index.ts'
import { capWorker, type CapWorker } from '../apps/server/src/testing/cap-worker.ts'
import type { World } from '../apps/server/src/testing/world.ts'
import type { People } from './approval-people.ts'

/** What somebody asks for and somebody else approves, in the words of the one who asked. */
export interface Asked {
  topic: string
  labels: Record<string, string>
  capability: string
  team: string
  prompt: string
  arguments: { n: number; target: string }
}

const Input = Type.Object({ n: Type.Integer(), target: Type.String({ maxLength: 100 }) })
const Output = Type.Object({})

/** What an approval adds to the labels (jobs.md 19.4); all others are the asker's. */
const ADDED = /^(approval_granted|approval_reason|approval_note|cordum\.bus_msg_id)$/

const digest = (asked: Asked): string => {
  const { topic, labels, capability, team, prompt, arguments: given } = asked
  const sorted = Object.entries(labels)
    .filter(([name]) => !ADDED.test(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256')
    .update(JSON.stringify([topic, sorted, capability, team, prompt, given.n, given.target]))
    .digest('hex')
}

export const VERB_TOPIC = 'job.wh.test.integrity.act'

/** The stage: a worker and a verb that write down what they really did, and the policy that holds everything. */
export class Stage {
  readonly world: World
  readonly people: People
  /** What was done, by job: the digest of what the worker, or the verb, had in its hands. */
  readonly performed = new Map<string, string[]>()
  readonly #worker: CapWorker
  readonly #rules: string[] = []
  readonly #late: string[] = []

  private constructor(world: World, people: People, worker: CapWorker) {
    this.world = world
    this.people = people
    this.#worker = worker
  }

  static async open(world: World, people: People): Promise<Stage> {
    const box: { stage?: Stage } = {}
    const worker = await capWorker(world, world.a, {
      id: 'integrity',
      pool: 'integrity',
      topics: ['job.integrity.now'],
      async work(request) {
        await box.stage?.note(request)
        return {}
      },
    })
    const stage = new Stage(world, people, worker)
    box.stage = stage
    world.kernel.jobs.register(stage.#verb())
    await stage.publish([])
    stage.beat()
    return stage
  }

  close(): Promise<void> {
    return this.#worker.close()
  }

  /** Says which topics the worker takes; `late` ones it begins to take now. */
  beat(late: readonly string[] = []): void {
    this.#late.push(...late)
    this.#worker.heartbeat({
      pool: 'integrity',
      capabilities: ['job.integrity.now', ...this.#late],
      maxParallelJobs: 500,
    })
  }

  /** A worker sees the request and reads the rest behind its pointer. */
  async note({ jobId, topic, labels, meta, env, contextPtr }: Packet): Promise<void> {
    const { body } = await this.world.call('GET', `/api/v1/memory?ptr=${encodeURIComponent(contextPtr)}`)
    const context = body.json ?? JSON.parse(Buffer.from(body.base64 ?? '', 'base64').toString() || '{}')
    this.#did(jobId, {
      topic,
      labels,
      capability: meta?.capability ?? '',
      team: env['team_id'] ?? '',
      prompt: context.prompt,
      arguments: context.context,
    })
  }

  #did(jobId: string, asked: Asked): void {
    this.performed.set(jobId, [...(this.performed.get(jobId) ?? []), digest(asked)])
  }

  #verb(): Verb<typeof Input, typeof Output> {
    return {
      name: 'integrity:act',
      topic: VERB_TOPIC,
      input: Input,
      output: Output,
      risk: ['write'],
      timeoutMs: 20_000,
      maxAttempts: 1,
      facts: async (_tx, input) => ({ n: input.n }),
      perform: async ({ jobId, input }) => {
        this.#did(jobId, ofVerb(input))
        return {}
      },
      settle: async () => undefined,
    }
  }

  /** Puts rules in front of those that are there, in force when this resolves. */
  async publish(rules: readonly string[]): Promise<void> {
    this.#rules.unshift(...rules)
    const content = ['version: "1"', 'rules:', ...this.#rules.map((rule) => `  - ${rule}`), ...STANDING].join('\n')
    await this.world.publish('secops/integrity', content)
  }

  /** Alice asks. Returns the job and the digest of exactly what she asked for. */
  async ask(
    asked: Asked,
    key?: string,
    through?: { as: string; headers: Record<string, string> },
  ): Promise<{ jobId: string; digest: string; status: number }> {
    const { world, people } = this
    if (asked.topic === VERB_TOPIC) {
      const verb = world.kernel.jobs.verb(VERB_TOPIC)
      if (!verb) throw new Error('the verb is not registered')
      const { principal } = people.alice
      const { jobId } = await world.kernel.db.tenant(world.a.id, (tx) =>
        world.kernel.jobs.submit(tx, principal, verb, asked.arguments, { labels: asked.labels }),
      )
      return { jobId, digest: digest(ofVerb(asked.arguments)), status: 200 }
    }
    const { status, body } = await world.call('POST', '/api/v1/jobs', {
      as: people.alice.keys[0],
      ...through,
      body: {
        prompt: asked.prompt,
        topic: asked.topic,
        labels: asked.labels,
        capability: asked.capability,
        team_id: asked.team,
        context: asked.arguments,
        ...(key === undefined ? {} : { idempotency_key: key }),
      },
    })
    return { jobId: body.job_id, digest: digest(asked), status }
  }

  async vote(
    as: string | null,
    jobId: string,
    what: 'approve' | 'reject',
    headers: Record<string, string> = {},
  ): Promise<number> {
    const { status } = await this.world.call('POST', `/api/v1/approvals/${jobId}/${what}`, {
      as,
      body: { reason: 'campaign' },
      headers,
    })
    return status
  }

  async cancel(jobId: string): Promise<number> {
    return (await this.world.call('POST', `/api/v1/jobs/${jobId}/cancel`, { as: this.people.carol.keys[0], body: {} }))
      .status
  }

  /** Whoever reaches the database changes what is stored of a job, in one of the places where its arguments lie. */
  tampering(place: string) {
    switch (place) {
      case 'arguments':
        return sql`context = jsonb_set(context::jsonb, case when verb is null then '{context,target}'::text[] else '{target}'::text[] end, '"elsewhere"')::text`
      case 'labels':
        return sql`request = jsonb_set(request, '{labels,target}', '"elsewhere"', true)`
      case 'environment':
        return sql`request = jsonb_set(request, '{env}', '{"team_id":"elsewhere"}', true)`
      case 'capability':
        return sql`request = jsonb_set(request, '{meta,capability}', '"elsewhere"', true)`
      default:
        return sql`request = jsonb_set(request, '{topic}', '"job.integrity.now.other"')`
    }
  }
}

export const PLACES = ['arguments', 'labels', 'environment', 'capability', 'topic'] as const

const ofVerb = (given: { n: number; target: string }): Asked => ({
  topic: VERB_TOPIC,
  labels: {},
  capability: '',
  team: '',
  prompt: '',
  arguments: given,
})

/** What holds before any rule of a wave. */
const STANDING = [
  '{id: gate-role, match: {labels: {gate: role}}, decision: require_approval, approval: {roles: [security]}}',
  '{id: gate-two, match: {labels: {gate: two}}, decision: require_approval, approval: {required: 2}}',
  '{id: gate-self, match: {labels: {gate: self}}, decision: require_approval, approval: {allow_self: true}}',
  `{id: ask, match: {topics: [job.integrity.*, ${VERB_TOPIC}]}, decision: require_approval, reason: everything is asked about}`,
].map((rule) => `  - ${rule}`)
