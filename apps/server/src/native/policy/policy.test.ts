import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sql } from '../../kernel/db/index.ts'
import type { Principal } from '../../kernel/identity/index.ts'
import type { JobRequest } from '../../kernel/jobs/index.ts'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
let admin: Principal
beforeAll(async () => {
  world = await openWorld()
  admin = await world.principal(world.a.keys.admin)
})
afterAll(() => world.close())

const SETTINGS = '/wheelhouse/api/v1/policy/settings'
const settings = (as = world.a.keys.viewer) => world.call('GET', SETTINGS, { as })
const turn = (defaultDecision: string | null, headers: Record<string, string> = {}) =>
  world.call('PUT', SETTINGS, { body: { defaultDecision }, headers })
const evaluate = async (topic: string, as = world.a.keys.viewer): Promise<string> =>
  (await world.call('POST', '/api/v1/policy/evaluate', { as, body: { topic } })).body.decision

describe('the default decision', () => {
  test('allows what no rule matches, as documented, until it is turned; then it denies or asks, at once', async () => {
    expect(await settings()).toMatchObject({ status: 200, body: { defaultDecision: 'allow', setBy: 'default' } })
    expect(await evaluate('job.any')).toBe('DECISION_TYPE_ALLOW')
    expect(await turn('deny')).toMatchObject({ status: 200, body: { defaultDecision: 'deny', setBy: 'settings' } })
    expect(await evaluate('job.any')).toBe('DECISION_TYPE_DENY')
    // Of this tenant alone.
    expect(await evaluate('job.any', world.b.keys.viewer)).toBe('DECISION_TYPE_ALLOW')
    await turn('require_approval')
    expect(await evaluate('job.any')).toBe('DECISION_TYPE_REQUIRE_HUMAN')
  })

  test('a job that no rule allows is denied at its submission', async () => {
    await turn('deny')
    const { body } = await world.call('POST', '/api/v1/jobs', { body: { topic: 'job.default', prompt: 'x' } })
    const job = await world.call('GET', `/api/v1/jobs/${body.job_id}`)
    expect(job.body).toMatchObject({ state: 'DENIED', safety_decision: 'DENY', safety_rule_id: 'default' })
    expect(job.body.safety_reason).toContain('no rule matched')
  })

  test('the switch goes before what bundles say, and gives the word back to them', async () => {
    const content = 'default_decision: require_approval\n'
    await world.call('PUT', '/api/v1/policy/bundles/secops~word', { body: { content, enabled: true } })
    expect(await evaluate('job.any')).toBe('DECISION_TYPE_DENY')
    expect(await turn(null)).toMatchObject({
      status: 200,
      body: { defaultDecision: 'require_approval', setBy: 'secops/word' },
    })
    expect(await evaluate('job.any')).toBe('DECISION_TYPE_REQUIRE_HUMAN')
    await world.call('PUT', '/api/v1/policy/bundles/secops~word', { body: { content, enabled: false } })
    expect((await settings()).body).toMatchObject({ defaultDecision: 'allow', setBy: 'default' })
  })

  test('it is part of the set: captured, rolled back, and in the trail', async () => {
    const { body: capture } = await world.call('POST', '/api/v1/policy/bundles/snapshots', { body: {} })
    await turn('deny')
    expect(await evaluate('job.any')).toBe('DECISION_TYPE_DENY')
    await world.call('POST', '/api/v1/policy/rollback', { body: { snapshot_id: capture.id } })
    expect(await evaluate('job.any')).toBe('DECISION_TYPE_ALLOW')
    const { body } = await world.call('GET', '/api/v1/policy/audit?include_edits=1')
    expect(body.items).toContainEqual(
      expect.objectContaining({ action: 'settings', message: 'default decision: deny', role: 'admin' }),
    )
  })

  test('two who turn it do not overwrite each other; other words and roles are refused', async () => {
    const tag = (await settings()).headers.get('etag') ?? ''
    expect((await turn('deny', { 'if-match': tag })).status).toBe(200)
    expect(await turn('allow', { 'if-match': tag })).toMatchObject({
      status: 409,
      body: { code: 'RES_VERSION_CONFLICT' },
    })
    expect((await turn('perhaps')).status).toBe(400)
    expect(
      (await world.call('PUT', SETTINGS, { as: world.a.keys.operator, body: { defaultDecision: 'allow' } })).status,
    ).toBe(403)
    await turn(null)
  })
})

const RULES = `
rules:
  - { id: prod-asks, match: { topics: [job.deploy.*], labels: { env: prod } }, decision: require_approval, reason: production }
  - { id: no-drop, match: { topics: [job.db.drop] }, decision: deny, reason: never }
  - { id: bounded, match: { topics: [job.db.*] }, decision: allow, constraints: { budgets: { max_runtime_ms: 1000 } } }
`
const DRAFT = `
rules:
  - { id: prod-never, match: { topics: [job.deploy.*], labels: { env: prod } }, decision: deny, reason: frozen }
  - { id: ask-drop, match: { topics: [job.db.drop] }, decision: require_approval, reason: ask first }
  - { id: bounded-too, match: { topics: [job.db.*] }, decision: allow }
  - { id: big, match: { facts: { reach.instances: { gt: 50 } } }, decision: require_approval, reason: reaches far }
  - { id: config, match: { topics: [job.conf] }, decision: allow }
`

describe('what-if', () => {
  let since = ''
  const submit = (topic: string, more: Partial<JobRequest> = {}) =>
    world.kernel.jobs.submitBatched(admin, {
      request: { topic, tenant: admin.tenantSlug, principalId: 'ann', ...more },
      context: '{"prompt":"x"}',
    })
  const whatIf = (body: object = {}, as = world.a.keys.admin) =>
    world.call('POST', '/wheelhouse/api/v1/policy/what-if', { as, body: { from: since, ...body } })
  const draft = { bundles: [{ id: 'secops/history', content: DRAFT }] }

  beforeAll(async () => {
    await world.call('PUT', '/api/v1/policy/bundles/secops~history', { body: { content: RULES, enabled: true } })
    since = new Date(world.kernel.clock.now()).toISOString()
    for (let n = 0; n < 3; n += 1) await submit('job.deploy.web', { labels: { env: 'prod' } })
    for (let n = 0; n < 2; n += 1) await submit('job.deploy.web', { labels: { env: 'dev' } })
    await submit('job.db.drop')
    await submit('job.db.read', { meta: { idempotencyKey: 'k1' } })
    await submit('job.db.read', { meta: { idempotencyKey: 'k2' }, principalId: 'bob' })
  })

  test('tells what a draft would have denied, held and allowed, with examples, and leaves everything as it is', async () => {
    const { status, body } = await whatIf({ draft })
    expect(status).toBe(200)
    expect(body).toMatchObject({
      complete: true,
      cursor: null,
      remaining: 0,
      replayed: 8,
      skipped: 0,
      newly: { denied: 3, held: 1, throttled: 0, constrained: 0, allowed: 0, loosened: 2 },
      unchanged: 2,
      otherRule: 0,
      window: { from: since, until: null },
    })
    expect(body.transitions[0]).toEqual({
      from: 'REQUIRE_APPROVAL',
      to: 'DENY',
      count: 3,
      examples: [
        {
          jobId: expect.stringMatching(/.+/),
          at: expect.stringMatching(/Z$/),
          topic: 'job.deploy.web',
          principal: 'ann',
          verb: null,
          before: { decision: 'REQUIRE_APPROVAL', rule: 'prod-asks', reason: 'production' },
          after: { decision: 'DENY', rule: 'prod-never', reason: 'frozen' },
          alike: 3,
        },
      ],
    })
    // Two principals are two examples.
    const loosened = body.transitions.find(({ to }: { to: string }) => to === 'ALLOW')
    expect(loosened.examples.map(({ principal }: { principal: string }) => principal).toSorted()).toEqual([
      'ann',
      'bob',
    ])
    expect(body.rules).toContainEqual({ rule: 'prod-asks', before: 3, after: 0 })
    expect(body.rules).toContainEqual({ rule: 'prod-never', before: 0, after: 3 })
    expect(body.rules).toContainEqual({ rule: '', before: 2, after: 2 })
    // Four different questions and two of ann and bob: idempotency keys are not what policy sees.
    expect(body.distinct).toBe(5)
    expect(await evaluate('job.db.drop')).toBe('DECISION_TYPE_DENY')
    expect(body.snapshot.draft).not.toBe(body.snapshot.current)
  })

  test('keeps to a window, topics, decisions and a rule', async () => {
    const counted = async (more: object): Promise<number> => (await whatIf({ draft, ...more })).body.replayed
    expect(await counted({ topic: 'job.db.*' })).toBe(3)
    expect(await counted({ topic: 'job.d?ploy.web' })).toBe(5)
    expect(await counted({ decision: ['DENY', 'REQUIRE_APPROVAL'] })).toBe(4)
    expect(await counted({ rule: 'bounded' })).toBe(2)
    expect(await counted({ until: since, from: '2020-01-01T00:00:00.000Z', topic: 'job.deploy.*' })).toBe(0)
    expect((await whatIf({ draft, topic: 'job.[' })).body).toMatchObject({
      status: 400,
      title: expect.stringContaining('glob'),
    })
    expect((await whatIf({ draft, until: '2020-01-01T00:00:00.000Z' })).status).toBe(400)
  })

  test('a default decision, a bundle left out, and a snapshot to go back to are drafts too', async () => {
    const denying = await whatIf({ draft: { defaultDecision: 'deny' } })
    expect(denying.body.newly).toMatchObject({ denied: 2, held: 0 })
    const without = await whatIf({ draft: { bundles: [{ id: 'secops/history', enabled: false }] } })
    expect(without.body.newly).toMatchObject({ denied: 0, allowed: 4, loosened: 2 })
    const { body: capture } = await world.call('POST', '/api/v1/policy/bundles/snapshots', { body: {} })
    expect((await whatIf({ draft: { capture: capture.id } })).body).toMatchObject({ unchanged: 8, otherRule: 0 })
  })

  test('what a draft cannot mean is refused', async () => {
    const refused = async (given: object) => (await whatIf({ draft: given })).body
    expect(await refused({ bundles: [{ id: 'secops/none' }] })).toMatchObject({
      status: 404,
      title: 'bundle not found',
    })
    expect(await refused({ capture: 'none' })).toMatchObject({ status: 404, title: 'snapshot not found' })
    expect(await refused({ bundles: [{ id: 'secops/history', content: 'rules: 3' }] })).toMatchObject({
      status: 400,
      title: expect.stringContaining('invalid policy bundle secops/history'),
    })
    const nothing = ['default', 'secops/history'].map((id) => ({ id, enabled: false }))
    expect(await refused({ bundles: nothing })).toMatchObject({
      status: 400,
      title: expect.stringContaining('no enabled bundle'),
    })
    expect((await whatIf({ cursor: 'abc' })).status).toBe(400)
    expect((await whatIf({ draft }, world.a.keys.operator)).status).toBe(403)
  })

  test('a tenant replays its own history alone', async () => {
    expect((await whatIf({ draft: { defaultDecision: 'deny' } }, world.b.keys.admin)).body.replayed).toBe(0)
  })

  test('against the policy of now, what changed since is no difference', async () => {
    await world.call('PUT', '/api/v1/policy/bundles/secops~history', { body: { content: DRAFT, enabled: true } })
    expect((await whatIf({})).body).toMatchObject({ newly: { denied: 3, held: 1 } })
    expect((await whatIf({ against: 'current' })).body).toMatchObject({ unchanged: 8, otherRule: 0, transitions: [] })
    await world.call('PUT', '/api/v1/policy/bundles/secops~history', { body: { content: RULES, enabled: true } })
  })

  test('policy sees again what it saw: facts, the effective configuration, and labels without those of an approval', async () => {
    const from = new Date(world.kernel.clock.now() + 1).toISOString()
    await expect.poll(() => world.kernel.clock.now()).toBeGreaterThan(Date.parse(from))
    const far = await submit('job.far')
    const conf = await submit('job.conf')
    const held = await submit('job.deploy.api', { labels: { env: 'prod' } })
    // As a verb's facts, and the configuration at the submission, would have been stored.
    for (const [jobId, facts] of [
      [far.jobId, { reach: { instances: 90 } }],
      [conf.jobId, { effective_config: { safety: { denied_topics: ['job.conf'] } } }],
    ] as const)
      await world.kernel.db.engine(async (tx) => {
        const body = JSON.stringify(facts)
        await tx.run(
          sql`insert into facts (tenant_id, hash, body) values (${world.a.id}, sha256(${body}::bytea), ${body})`,
        )
        await tx.run(sql`update decisions set facts_hash = sha256(${body}::bytea) where job_id = ${jobId}`)
      })
    await world.kernel.db.engine((tx) =>
      tx.run(sql`
        update jobs set request = jsonb_set(request, '{labels}', (request -> 'labels') || '{"approval_granted":"true"}')
         where id = ${held.jobId}`),
    )
    const smuggled =
      '  - { id: smuggled, match: { labels: { approval_granted: "true" } }, decision: throttle, reason: no }\n'
    const probe = DRAFT.replace('rules:\n', `rules:\n${smuggled}`)
    const { body } = await whatIf({ from, draft: { bundles: [{ id: 'secops/history', content: probe }] } })
    expect(body).toMatchObject({ replayed: 3, newly: { held: 1, denied: 2, throttled: 0 } })
    const reasons = body.transitions.flatMap(({ examples }: { examples: { after: { rule: string } }[] }) =>
      examples.map(({ after }) => after.rule),
    )
    expect(reasons.toSorted()).toEqual(['big', 'config:safety:denied_topics', 'prod-never'])
  })

  test('what is not kept any more is counted as skipped; answers of nobody and of people are left out', async () => {
    const from = new Date(world.kernel.clock.now() + 1).toISOString()
    await expect.poll(() => world.kernel.clock.now()).toBeGreaterThan(Date.parse(from))
    const [lost, granted, waiting] = [
      await submit('job.lost'),
      await submit('job.granted'),
      await submit('job.waiting'),
    ]
    await world.kernel.db.engine(async (tx) => {
      await tx.run(sql`update decisions set facts_hash = '\\x00' where job_id = ${lost.jobId}`)
      await tx.run(sql`update decisions set reason = 'approval granted' where job_id = ${granted.jobId}`)
      await tx.run(sql`update decisions set decision = 'THROTTLE', snapshot = '' where job_id = ${waiting.jobId}`)
    })
    expect((await whatIf({ from, draft: { defaultDecision: 'deny' } })).body).toMatchObject({ replayed: 0, skipped: 1 })
  })

  test('when the time is over it answers with what it has, and goes on from there', async () => {
    // Straight into the tables: more than one batch of decisions about few questions.
    await world.kernel.db.engine(async (tx) => {
      await tx.run(sql`
        insert into jobs (tenant_id, id, trace_id, topic, state, updated_us, created_at, request, principal_id, principal_hash, decision_id, ended_at)
        select tenant_id, 'bulk-' || n, 'trace', 'job.bulk.' || (n % 10), 'succeeded', n, created_at,
               jsonb_set(request, '{topic}', to_jsonb('job.bulk.' || (n % 10))), principal_id, principal_hash, decision_id, now()
          from (select * from jobs where topic = 'job.far') as j, generate_series(1, 40000) as n`)
      await tx.run(sql`
        insert into decisions (tenant_id, job_id, id, at, decision)
        select ${world.a.id}::uuid, 'bulk-' || n, gen_random_uuid(), timestamptz '2021-01-01' + (n / 100) * interval '1 millisecond', 'ALLOW'
          from generate_series(1, 40000) as n`)
    })
    const only = { from: '2021-01-01T00:00:00.000Z', until: '2021-02-01T00:00:00.000Z', budgetMs: 50 }
    const given = { ...only, draft: { defaultDecision: 'deny' }, examples: 3 }
    let denied = 0
    let remaining = 40_000
    let answers = 0
    for (let cursor: string | undefined; ; answers += 1) {
      const { status, body } = await whatIf({ ...given, ...(cursor === undefined ? {} : { cursor }) })
      expect(status).toBe(200)
      expect(body.transitions).toHaveLength(1)
      expect(body.transitions[0].examples).toHaveLength(3)
      denied += body.newly.denied
      expect(body.remaining).toBe(remaining - body.replayed)
      remaining = body.remaining
      if (body.complete) break
      cursor = body.cursor
    }
    expect({ denied, remaining }).toEqual({ denied: 40_000, remaining: 0 })
    // One was not enough.
    expect(answers).toBeGreaterThan(0)
    const foreign = Buffer.from(`2023-01-01 00:00:00+00|${crypto.randomUUID()}`).toString('base64url')
    expect((await whatIf({ ...given, cursor: foreign })).body.title).toContain('the same window')
    const whole = await whatIf({ ...given, budgetMs: 20_000 })
    expect(whole.body).toMatchObject({ complete: true, replayed: 40_000, distinct: 10, newly: { denied: 40_000 } })
  })

  test('one at a time for a tenant', async () => {
    const bulk = { from: '2021-01-01T00:00:00.000Z', draft: { defaultDecision: 'deny' } }
    const answers = await Promise.all([whatIf(bulk), whatIf(bulk)])
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409])
    expect(answers.find(({ status }) => status === 409)?.body.title).toContain('wait until it ends')
    expect((await whatIf(bulk)).status).toBe(200)
  })
})
