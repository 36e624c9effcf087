import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTenantConfig } from '../../kernel/tenant-config/index.ts'
import { capWorker } from '../../testing/cap-worker.ts'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const put = (scope: string | undefined, scopeId: string | undefined, data: unknown, more: object = {}) =>
  world.call('POST', '/api/v1/config', { body: { scope, scope_id: scopeId, data }, ...more })
const get = (query: string, as?: string) => world.call('GET', `/api/v1/config${query}`, as === undefined ? {} : { as })

describe('documents', () => {
  test('a document is replaced whole, its revision rises, and If-Match guards it', async () => {
    expect(await get('?scope=team&scope_id=blue')).toMatchObject({ status: 404, body: { error: 'config not found' } })
    expect(await put('team', 'blue', { a: 1, none: null, deep: { b: null } })).toMatchObject({
      status: 204,
      body: null,
    })
    const first = await get('?scope=team&scope_id=blue', world.a.keys.viewer)
    expect(first.body).toEqual({
      scope: 'team',
      scope_id: 'blue',
      data: { a: 1, none: null, deep: { b: null } },
      revision: 1,
      updated_at: expect.any(String),
    })
    expect(first.headers.get('etag')).toBe('"1"')
    expect((await put('team', 'blue', { b: 2 }, { headers: { 'if-match': '1' } })).status).toBe(204)
    for (const tag of ['1', '"1"', '0'])
      expect(await put('team', 'blue', { c: 3 }, { headers: { 'if-match': tag } })).toMatchObject({
        status: 412,
        body: { error: expect.stringContaining('revision is 2') },
      })
    expect((await put('team', 'blue', { c: 3 }, { headers: { 'if-match': 'soon' } })).status).toBe(400)
    expect((await put('team', 'new', {}, { headers: { 'if-match': '0' } })).status).toBe(204)
    expect((await get('?scope=team&scope_id=blue')).body).toMatchObject({ data: { b: 2 }, revision: 2 })
  })

  test('what is missing or unknown is said', async () => {
    expect(await put(undefined, 'x', {})).toMatchObject({ status: 400, body: { error: 'scope required' } })
    expect(await put('team', '', {})).toMatchObject({
      status: 400,
      body: { error: 'scope_id required for non-system scope' },
    })
    expect(await put('planet', 'x', {})).toMatchObject({ status: 400 })
    expect(await put('team', 'x', undefined)).toMatchObject({ status: 400, body: { error: 'data required' } })
    expect(await put('system', 'policy_audit', {})).toMatchObject({ status: 400 })
    expect(await put('team', 'big', { text: 'x'.repeat(70_000) })).toMatchObject({ status: 400 })
  })

  test('the scope org is the tenant; another tenant is refused; tenants do not see each other’s', async () => {
    expect((await put('org', 'default', { colour: 'red' })).status).toBe(204)
    for (const id of ['default', world.a.slug, world.a.id])
      expect((await get(`?scope=org&scope_id=${id}`)).body).toMatchObject({
        scope_id: world.a.slug,
        data: { colour: 'red' },
      })
    expect(await get(`?scope=org&scope_id=${world.b.slug}`)).toMatchObject({
      status: 403,
      body: { error: 'tenant access denied' },
    })
    expect((await get('?scope=org&scope_id=default', world.b.keys.admin)).status).toBe(404)
  })

  test('the system’s documents are for operators to read and administrators to write', async () => {
    await put('system', 'default', { observability: { grafana: 'x' } })
    expect((await get('', world.a.keys.viewer)).status).toBe(403)
    expect((await get('', world.a.keys.operator)).body.data).toEqual({ observability: { grafana: 'x' } })
    expect((await put('system', 'default', {}, { as: world.a.keys.operator })).status).toBe(403)
  })

  test('of two writers with the same revision one wins', async () => {
    await put('step', 'race', { n: 0 })
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, n) => put('step', 'race', { n }, { headers: { 'if-match': '1' } })),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([204, ...Array.from({ length: 7 }, () => 412)])
    expect((await get('?scope=step&scope_id=race')).body.revision).toBe(2)
  })
})

describe('what is in force', () => {
  test('later scopes replace whole top-level values; version and hash tell', async () => {
    const as = world.b.keys.admin
    await put('system', 'default', { a: { x: 1, y: 1 }, b: 1 }, { as })
    await put('org', 'default', { b: 2 }, { as })
    await put('workflow', 'wf', { a: { x: 2 } }, { as })
    await put('step', 'st', { c: 3 }, { as })
    const ask = (query: string) => world.call('GET', `/api/v1/config/effective${query}`, { as: world.b.keys.viewer })
    expect((await ask('')).body).toMatchObject({
      version: 'system:1|org:1|team:0|workflow:0|step:0',
      data: { a: { x: 1, y: 1 }, b: 2 },
    })
    const all = (await ask('?workflow_id=wf&step_id=st&team_id=none')).body
    expect(all).toEqual({
      version: 'system:1|org:1|team:0|workflow:1|step:1',
      hash: createHash('sha256').update('{"a":{"x":2},"b":2,"c":3}').digest('hex'),
      data: { a: { x: 2 }, b: 2, c: 3 },
    })
    await put('workflow', 'wf', { a: 0 }, { as })
    expect((await ask('?workflow_id=wf')).body.data).toEqual({ a: 0, b: 2 })
    expect((await ask(`?org_id=${world.a.slug}`)).status).toBe(403)
  })

  test('another replica takes a change up by the nudge, and by its sweep when the nudge is lost', async () => {
    const { db, bus, log } = world.kernel
    const nudged = openTenantConfig({
      db,
      log,
      onWake: (run) => bus.onWake('config', run),
      wake: () => undefined,
      sweepMs: 3_600_000,
    })
    const swept = openTenantConfig({
      db,
      log,
      onWake: () => ({ close: () => undefined }),
      wake: () => undefined,
      sweepMs: 50,
    })
    try {
      const place = { teamId: 'elsewhere' }
      for (const each of [nudged, swept]) expect((await each.effective(world.a.id, place)).data['n']).toBeUndefined()
      await put('team', 'elsewhere', { n: 1 })
      for (const each of [nudged, swept])
        await expect.poll(async () => (await each.effective(world.a.id, place)).data['n'], { timeout: 10_000 }).toBe(1)
      await put('team', 'elsewhere', { n: 2 })
      for (const each of [nudged, swept])
        await expect.poll(async () => (await each.effective(world.a.id, place)).data['n'], { timeout: 10_000 }).toBe(2)
    } finally {
      await nudged.close()
      await swept.close()
    }
  })
})

describe('keys with a meaning', () => {
  test.each<[string, object, RegExp]>([
    ['capitalised pools', { pools: { Topics: {}, Pools: {} } }, /config key pools.*Topics|topics/],
    ['a topic without a pool', { pools: { topics: { 'job.x': [] } } }, /config key pools: topics\.job\.x/],
    ['a pool of the platform', { pools: { topics: { 'job.x': 'wh' } } }, /config key pools/],
    [
      'timeouts in words',
      { timeouts: { topics: { 'job.x': { timeout_seconds: 'long' } } } },
      /timeout_seconds must be integer/,
    ],
    ['an unknown part of timeouts', { timeouts: { steps: {} } }, /must not have the member "steps"/],
    ['topics that are no list', { safety: { denied_topics: 'job.x' } }, /config key safety.*must be array/],
    ['a limit that is no number', { limits: { max_concurrent_runs: 'few' } }, /config key limits/],
  ])('%s: refused with what to write', async (_, data, words) => {
    const answer = await put('system', 'default', data)
    expect(answer).toMatchObject({ status: 400, body: { error: expect.stringMatching(words) } })
  })

  test('registries of trust and catalogues are checked', async () => {
    expect(await put('system', 'pack_trust', { keys: [{ id: 'k', publicKey: 'no' }] })).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining('Ed25519') },
    })
    expect(await put('system', 'pack_catalogs', { catalogs: [{ id: 'c', url: 'file:///etc' }] })).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining('http or https') },
    })
    expect(await put('system', 'packs', { installed: { x: { status: 'SHINY' } } })).toMatchObject({ status: 400 })
  })

  test('pools route and timeouts bound jobs at once; the bare number of a workflow is its total time', async () => {
    await put('system', 'default', {
      pools: { topics: { 'job.routed': 'blue', 'job.both': ['blue', 'red'] }, pools: { blue: { requires: ['gpu'] } } },
      timeouts: {
        topics: { 'job.routed': { timeout_seconds: 7, max_retries: 2 } },
        workflows: { 'p.wf': 120, 'p.other': { child_timeout_seconds: 5 } },
      },
    })
    expect(await world.kernel.tenantConfig.routing(world.a.id)).toEqual({
      pools: {
        topics: { 'job.routed': ['blue'], 'job.both': ['blue', 'red'] },
        pools: { blue: { requires: ['gpu'] } },
      },
      timeouts: {
        topics: { 'job.routed': { timeoutMs: 7000, maxRetries: 2 } },
        workflows: { 'p.wf': { totalTimeoutMs: 120_000 }, 'p.other': { childTimeoutMs: 5000 } },
        runningTimeoutMs: 9_000_000,
      },
    })
    const submit = (topic: string) => world.call('POST', '/api/v1/jobs', { body: { topic, prompt: 'go' } })
    const lost = (await submit('job.unrouted')).body.job_id as string
    expect((await world.call('GET', `/api/v1/jobs/${lost}`)).body).toMatchObject({
      state: 'FAILED',
      error_code: 'no_pool_mapping',
    })
    await put('system', 'default', {})
    const found = (await submit('job.unrouted')).body.job_id as string
    expect((await world.call('GET', `/api/v1/jobs/${found}`)).body.state).not.toBe('FAILED')
  })

  test('the total time of a workflow ends its runs', async () => {
    const steps = { wait: { type: 'delay', delay_sec: 60 } }
    await world.call('POST', '/api/v1/workflows', { body: { id: 'slow', name: 'slow', timeout_sec: 50, steps } })
    await put('system', 'default', { timeouts: { workflows: { slow: 1 } } })
    const { run_id } = (await world.call('POST', '/api/v1/workflows/slow/runs', { body: {} })).body
    const run = async () => (await world.call('GET', `/api/v1/workflow-runs/${run_id}`)).body
    await expect.poll(async () => (await run()).status, { timeout: 10_000 }).toBe('timed_out')
    expect((await run()).error.message).toMatch(/took longer than/)
    await put('system', 'default', { limits: { max_concurrent_runs: 1 } })
    expect((await world.call('POST', '/api/v1/workflows/slow/runs', { body: {} })).status).toBe(200)
    expect(await world.call('POST', '/api/v1/workflows/slow/runs', { body: {} })).toMatchObject({
      status: 429,
      body: { error: 'max concurrent runs reached' },
    })
    await put('system', 'default', {})
  })

  test('what `safety` forbids is denied at submit and at evaluate, where the configuration says so', async () => {
    await put('team', 'careful', { safety: { denied_topics: ['job.danger.*'] } })
    const submit = async (more: object) => {
      const { body } = await world.call('POST', '/api/v1/jobs', {
        body: { topic: 'job.danger.x', prompt: 'go', ...more },
      })
      return (await world.call('GET', `/api/v1/jobs/${body.job_id}`)).body
    }
    expect(await submit({ team_id: 'careful' })).toMatchObject({
      state: 'DENIED',
      safety_rule_id: 'config:safety:denied_topics',
    })
    expect((await submit({})).state).not.toBe('DENIED')
    const ask = (body: object) =>
      world.call('POST', '/api/v1/policy/evaluate', { body: { topic: 'job.danger.x', ...body } })
    expect((await ask({})).body.decision).toBe('DECISION_TYPE_ALLOW')
    expect((await ask({ team_id: 'careful' })).body).toMatchObject({
      decision: 'DECISION_TYPE_DENY',
      ruleId: 'config:safety:denied_topics',
    })
    expect((await ask({ team_id: 'careful', effective_config: {} })).body.decision).toBe('DECISION_TYPE_ALLOW')
    await put('org', 'default', { safety: { denied_topics: ['job.danger.*'] } })
    expect((await submit({})).state).toBe('DENIED')
    await put('org', 'default', {})
  })

  test('workers get the configuration of their place in their environment, as it is when they are sent the job', async () => {
    await put('team', 'green', { models: { small: 'm1' } })
    const worker = await capWorker(world, world.a, { id: 'w-config', topics: ['job.conf'], work: () => ({}) })
    try {
      for (const [team, data] of [
        ['green', { models: { small: 'm1' } }],
        ['none', {}],
      ] as const) {
        const sent = await world.call('POST', '/api/v1/jobs', {
          body: { topic: 'job.conf', prompt: 'go', team_id: team },
        })
        const arrived = () => worker.taken.find(({ request }) => request.jobId === sent.body.job_id)
        await expect.poll(arrived, { timeout: 10_000 }).toBeDefined()
        expect(JSON.parse(arrived()?.request.env['CORDUM_EFFECTIVE_CONFIG'] ?? '')).toEqual(data)
      }
    } finally {
      await worker.close()
    }
  })
})

describe('the document system/policy', () => {
  const as = () => world.b.keys.admin
  const write = (bundles: object, headers: Record<string, string> = {}) =>
    put('system', 'policy', { bundles }, { as: as(), headers })
  const ask = async (topic: string) =>
    (await world.call('POST', '/api/v1/policy/evaluate', { as: as(), body: { topic } })).body.decision as string
  const deny = (topic: string) => `rules: [{id: "${topic}", match: {topics: ["${topic}"]}, decision: deny}]`

  test('its bundles and policy are one thing, in force when the write is answered', async () => {
    expect((await get('?scope_id=policy', as())).status).toBe(404)
    expect(
      (await write({ 'x/a': deny('job.a'), 'x/b': { content: deny('job.b'), version: '3' }, 'x/empty': '' })).status,
    ).toBe(204)
    expect([await ask('job.a'), await ask('job.b')]).toEqual(['DECISION_TYPE_DENY', 'DECISION_TYPE_DENY'])
    const { body } = await get('?scope_id=policy', as())
    expect(body.data.bundles).toMatchObject({
      'x/a': { content: deny('job.a'), enabled: true },
      'x/b': { version: '3' },
    })
    expect(body.data.bundles).not.toHaveProperty('x/empty')
    const listed = await world.call('GET', '/api/v1/policy/bundles', { as: as() })
    expect(Object.keys(listed.body.bundles)).toEqual(['default', 'x/a', 'x/b'])

    // What comes back as it was read stays untouched; what is left out goes; what a tenant began with stays.
    await write({ 'x/a': body.data.bundles['x/a'] })
    const after = (await get('?scope_id=policy', as())).body
    expect(after.data.bundles).toEqual({ 'x/a': body.data.bundles['x/a'] })
    expect([await ask('job.a'), await ask('job.b')]).toEqual(['DECISION_TYPE_DENY', 'DECISION_TYPE_ALLOW'])
    expect(Object.keys((await world.call('GET', '/api/v1/policy/bundles', { as: as() })).body.bundles)).toEqual([
      'default',
      'x/a',
    ])

    expect((await write({ 'x/a': { content: deny('job.a'), enabled: 'no' } })).status).toBe(204)
    expect(await ask('job.a')).toBe('DECISION_TYPE_ALLOW')
  })

  test('a bundle that does not parse, a stale revision, or a key without the right changes nothing', async () => {
    await write({ 'x/a': deny('job.a') })
    const before = (await get('?scope_id=policy', as())).body
    expect(await write({ 'x/a': deny('job.c'), 'x/z': 'rules: [{decision: maybe}]' })).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining('invalid policy content') },
    })
    expect((await write({}, { 'if-match': String(before.revision - 1) })).status).toBe(412)
    expect((await write({ base: deny('job.c') })).status).toBe(400)
    expect((await put('system', 'policy', { rules: [] }, { as: as() })).status).toBe(400)
    expect((await get('?scope_id=policy', as())).body).toEqual(before)
    expect((await write({ 'x/a': deny('job.d') }, { 'if-match': String(before.revision) })).status).toBe(204)
    expect(await ask('job.d')).toBe('DECISION_TYPE_DENY')
  })
})
