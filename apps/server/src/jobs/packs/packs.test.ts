import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { installPack, uninstallPack } from './install.ts'
import { bundleOf, filesOf, installBundle, sha256Of } from '../../testing/pack-bundle.ts'
import { installFiles, type PackParts, packOf, STEP } from '../../testing/pack-files.ts'
import { openWorld, type World } from '../../testing/world.ts'
import { readBundle } from './archive.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const ROOT = join(import.meta.dirname, '../../../../..')
const HELLO = filesOf(join(ROOT, 'packs/hello'))
const get = (path: string, as = world.a.keys.admin) => world.call('GET', `/api/v1${path}`, { as })
const post = (path: string, body?: unknown, as = world.a.keys.admin) =>
  world.call('POST', `/api/v1${path}`, { as, body })
const evaluate = async (topic: string, riskTags: string[] = []) =>
  (await post('/policy/evaluate', { topic, meta: { risk_tags: riskTags } })).body.decision as string

const install = (files: Parameters<typeof installFiles>[1], fields?: Record<string, string | Uint8Array>) =>
  installFiles(world, files, fields)

/** Everything that an installation could change. */
async function everything() {
  const [packs, schemas, workflows, bundles, config] = await Promise.all([
    get('/packs'),
    get('/schemas?limit=500'),
    get('/workflows'),
    get('/policy/bundles'),
    get('/config'),
  ])
  return {
    packs: packs.body,
    schemas: schemas.body,
    workflows: workflows.body,
    bundles: bundles.body.bundles,
    config: config.status === 404 ? null : config.body,
  }
}

describe('the example pack', () => {
  test('is installed, verified, used and removed; each step counts at once', async () => {
    const bytes = await bundleOf(HELLO)
    const installed = await installBundle(world, bytes, { name: 'hello.tar.gz' })
    expect(installed).toMatchObject({
      status: 200,
      body: {
        id: 'hello',
        version: '1.0.0',
        // No pools overlay: nothing of it needs a worker.
        status: 'INACTIVE',
        installed_by: expect.any(String),
        manifest: {
          metadata: { id: 'hello', title: 'Hello' },
          compatibility: { protocolVersion: 1, minCoreVersion: '', maxCoreVersion: '' },
          topics: [{ name: 'job.hello.greet', capability: 'hello.greet', riskTags: ['demo'], requires: null }],
        },
        overlays: { policy: [{ name: 'default', fragment_id: 'hello/default' }] },
        sha256: sha256Of(bytes),
        signature: { state: 'unsigned' },
      },
    })
    expect((await get('/packs')).body.items).toEqual([installed.body])
    expect((await get('/packs/hello')).body).toEqual(installed.body)
    expect((await get('/schemas/hello/Greeting')).body.schema.required).toEqual(['name'])
    expect((await get('/workflows/hello.greet')).body.name).toBe('Greet somebody')
    expect(await evaluate('job.hello.shout')).toBe('DECISION_TYPE_DENY')

    const verified = await post('/packs/hello/verify')
    expect(verified.body.pack_id).toBe('hello')
    expect(verified.body.results.map(({ ok, got }: { ok: boolean; got: string }) => [ok, got])).toEqual([
      [true, 'REQUIRE_APPROVAL'],
      [true, 'DENY'],
      [true, 'ALLOW'],
    ])

    expect((await post('/packs/hello/uninstall')).body).toMatchObject({ id: 'hello', status: 'DISABLED' })
    expect(await evaluate('job.hello.shout')).toBe('DECISION_TYPE_ALLOW')
    expect((await get('/workflows/hello.greet')).status).toBe(200)
    expect(await post('/packs/hello/verify')).toMatchObject({ status: 404, body: { error: 'pack not installed' } })
    expect((await post('/packs/hello/uninstall', { purge: true })).body.status).toBe('DISABLED')
    expect((await get('/workflows/hello.greet')).status).toBe(404)
    expect((await get('/schemas/hello/Greeting')).status).toBe(404)
    expect((await get('/packs')).body.items).toMatchObject([{ id: 'hello', status: 'DISABLED' }])
    expect((await installBundle(world, bytes)).status).toBe(200)
  })

  test('its workflow runs to its end once a person approves', async () => {
    const started = await post('/workflows/hello.greet/runs', { name: 'Ada', formal: true })
    const run = async () => (await get(`/workflow-runs/${started.body.run_id}`)).body
    expect((await run()).status).toBe('waiting')
    await post(`/workflows/hello.greet/runs/${started.body.run_id}/steps/approve/approve`, { approved: true })
    await expect.poll(async () => (await run()).status, { timeout: 10_000 }).toBe('succeeded')
    expect((await post('/workflows/hello.greet/runs', { name: '' })).status).toBe(400)
  })

  test('a simulation that policy answers otherwise is told, not hidden', async () => {
    await world.call('PUT', '/api/v1/policy/bundles/secops~quiet', {
      body: {
        enabled: true,
        content: 'rules: [{id: none, match: {topics: ["job.hello.*"]}, decision: deny, reason: not now}]',
      },
    })
    const { body } = await post('/packs/hello/verify')
    expect(body.results[2]).toEqual({
      name: 'a plain greeting is allowed',
      expected: 'ALLOW',
      got: 'DENY',
      reason: 'not now',
      ok: false,
    })
    await world.call('PUT', '/api/v1/policy/bundles/secops~quiet', { body: { enabled: false, content: 'rules: []' } })
  })
})

describe('overlays of the configuration', () => {
  test('route and bound at once, and are taken away with the pack', async () => {
    const pools = { topics: { 'job.pooled.a': 'pooled' }, pools: { pooled: { requires: ['gpu'] } } }
    const timeouts = { topics: { 'job.pooled.a': { timeout_seconds: 9 } }, workflows: { 'pooled.wf': 120 } }
    const { body } = await install({ id: 'pooled', pools, timeouts })
    expect(body).toMatchObject({
      status: 'ACTIVE',
      // The nameless one is recorded under a name, so that it can be taken away.
      overlays: {
        config: [
          { name: 'default', scope: 'system', scope_id: 'default', key: 'pools', patch: pools },
          { name: 'times' },
        ],
      },
    })
    expect(await world.kernel.tenantConfig.routing(world.a.id)).toMatchObject({
      pools: { topics: { 'job.pooled.a': ['pooled'] } },
      timeouts: {
        topics: { 'job.pooled.a': { timeoutMs: 9000 } },
        workflows: { 'pooled.wf': { totalTimeoutMs: 120_000 } },
      },
    })
    await post('/packs/pooled/uninstall')
    expect((await get('/config')).body.data).toMatchObject({
      pools: { topics: {}, pools: { pooled: {} } },
      timeouts: { topics: { 'job.pooled.a': {} }, workflows: {} },
    })
    const job = (await post('/jobs', { topic: 'job.pooled.a', prompt: 'go' })).body.job_id as string
    expect((await get(`/jobs/${job}`)).body).toMatchObject({ state: 'FAILED', error_code: 'no_pool_mapping' })
  })

  test('inactive leaves the pools out', async () => {
    const { body } = await install(
      { id: 'idle', pools: { topics: { 'job.idle.a': 'idle' } }, timeouts: { workflows: { 'idle.w': 5 } } },
      { inactive: 'true' },
    )
    expect(body).toMatchObject({ status: 'INACTIVE', overlays: { config: [{ key: 'timeouts' }] } })
    expect((await get('/config')).body.data.pools.topics).not.toHaveProperty('job.idle.a')
  })

  test('pools that are there may be used by others, and keep what others wrote', async () => {
    await install({
      id: 'first',
      pools: { topics: { 'job.first.a': 'first-pool' }, pools: { 'first-pool': { requires: ['x'] } } },
    })
    expect(
      (await install({ id: 'second', pools: { topics: { 'job.second.a': ['first-pool', 'second'] } } })).status,
    ).toBe(200)
    await post('/packs/second/uninstall')
    expect((await get('/config')).body.data.pools).toMatchObject({
      topics: { 'job.first.a': 'first-pool' },
      pools: { 'first-pool': { requires: ['x'] } },
    })
  })
})

describe('upgrades', () => {
  const one: PackParts = {
    id: 'up',
    schemas: { 'up/A': { type: 'string' }, 'up/Old': { type: 'null' } },
    workflows: { 'up.w': STEP },
    pools: { topics: { 'job.up.a': 'up', 'job.up.old': 'up' } },
    policy: {
      default: 'rules: [{id: r, match: {topics: ["job.up.a"]}, decision: deny, reason: v1}]',
      old: 'rules: [{id: o, match: {topics: ["job.up.old"]}, decision: deny}]',
    },
  }
  const two: PackParts = {
    ...one,
    version: '1.1.0',
    schemas: { 'up/A': { type: 'number' } },
    pools: { topics: { 'job.up.a': 'up-b' } },
    policy: { default: 'rules: [{id: r, match: {topics: ["job.up.a"]}, decision: require_approval}]' },
  }

  test('the same again changes nothing; something else needs `upgrade`', async () => {
    const first = await install(one)
    expect(first.status).toBe(200)
    const again = await install(one)
    expect(again.body.resources).toEqual(first.body.resources)
    expect(await install(two)).toMatchObject({
      status: 400,
      body: { error: 'pack up 1.0.0 is installed; rerun with upgrade' },
    })
    expect(await install({ ...one, schemas: { 'up/A': { type: 'number' } } })).toMatchObject({
      status: 400,
      body: { error: 'schema up/A exists; rerun with upgrade' },
    })
    expect(await install({ ...one, workflows: { 'up.w': { ...STEP, name: 'other' } } })).toMatchObject({
      status: 400,
      body: { error: 'workflow up.w exists; rerun with upgrade' },
    })
    expect((await get('/workflows/up.w')).body.name).toBe('w')
  })

  test('what the new version no longer brings is gone; a fragment that was switched off stays off', async () => {
    const stored = (await get('/config?scope_id=policy')).body
    const bundles = { ...stored.data.bundles, 'up/default': { ...stored.data.bundles['up/default'], enabled: false } }
    expect((await post('/config', { scope: 'system', scope_id: 'policy', data: { bundles } })).status).toBe(204)
    expect(await evaluate('job.up.a')).toBe('DECISION_TYPE_ALLOW')

    const { body } = await install(two, { upgrade: '1' })
    expect(body).toMatchObject({ version: '1.1.0', status: 'ACTIVE' })
    // A purge takes along what earlier versions brought.
    expect(Object.keys(body.resources.schemas)).toEqual(['up/A', 'up/Old'])
    expect((await get('/schemas/up/A')).body.schema).toEqual({ type: 'number' })
    expect((await get('/config')).body.data.pools.topics).toMatchObject({ 'job.up.a': 'up-b' })
    expect((await get('/config')).body.data.pools.topics).not.toHaveProperty('job.up.old')
    expect(await evaluate('job.up.old')).toBe('DECISION_TYPE_ALLOW')
    expect(await evaluate('job.up.a')).toBe('DECISION_TYPE_ALLOW')
    const after = (await get('/config?scope_id=policy')).body.data.bundles
    expect(after['up/default']).toMatchObject({ enabled: false, version: '1.1.0' })
    expect(after).not.toHaveProperty('up/old')
  })
})

describe('a pack that fails half-way leaves nothing', () => {
  const good: PackParts = {
    id: 'half',
    schemas: { 'half/A': { type: 'string' } },
    workflows: { 'half.w': STEP },
    pools: { topics: { 'job.half.a': 'half' } },
    policy: { default: 'rules: [{id: r, match: {topics: ["job.half.a"]}, decision: deny}]' },
  }
  test.each<[string, PackParts, string]>([
    [
      'the last schema does not compile',
      { ...good, schemas: { ...good.schemas, 'half/B': { type: 'strin' } } },
      'schemas/1.json: schema does not compile',
    ],
    [
      'a workflow is not valid',
      { ...good, workflows: { ...good.workflows, 'half.x': { steps: { a: { depends_on: ['none'] } } } } },
      'workflows/1.json: invalid workflow',
    ],
    ['the pools are no pools', { ...good, pools: { topics: { 'job.half.a': [] } } }, 'config key pools'],
    [
      'the timeouts are no timeouts',
      { ...good, timeouts: { topics: { 'job.half.a': { seconds: 1 } } } },
      'config key timeouts',
    ],
    [
      'the last fragment does not parse',
      { ...good, policy: { ...good.policy, late: 'rules: [{decision: perhaps}]' } },
      'overlays/late.policy.yaml: invalid policy content',
    ],
  ])('when %s', async (_, parts, words) => {
    const before = await everything()
    expect(await install(parts)).toMatchObject({ status: 400, body: { error: expect.stringContaining(words) } })
    expect(await everything()).toEqual(before)
  })

  test('when a resource is there already, and when an upgrade fails the version before stays whole', async () => {
    await post('/schemas', { id: 'half/A', schema: { type: 'boolean' } })
    const before = await everything()
    expect((await install(good)).body.error).toBe('schema half/A exists; rerun with upgrade')
    expect(await everything()).toEqual(before)
    expect((await install(good, { upgrade: 'true' })).status).toBe(200)
    const whole = await everything()
    const broken = { ...good, version: '2.0.0', policy: { default: 'rules: 7' } }
    expect((await install(broken, { upgrade: 'true' })).status).toBe(400)
    expect(await everything()).toEqual(whole)
    expect(await evaluate('job.half.a')).toBe('DECISION_TYPE_DENY')
  })

  test('several at once: each is whole', async () => {
    const names = ['par-a', 'par-b', 'par-c', 'par-d']
    const answers = await Promise.all(
      names.map((id) => install({ id, pools: { topics: { [`job.${id}.x`]: id } }, schemas: { [`${id}/S`]: {} } })),
    )
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
    expect((await get('/packs')).body.items.map(({ id }: { id: string }) => id)).toEqual(expect.arrayContaining(names))
    expect(Object.keys((await get('/config')).body.data.pools.topics)).toEqual(
      expect.arrayContaining(names.map((id) => `job.${id}.x`)),
    )
  })
})

describe('doors', () => {
  test('the form says what is missing', async () => {
    const as = world.a.keys.admin
    const send = (headers: Record<string, string>, body: string) =>
      world.call('POST', '/api/v1/packs/install', { as, headers, body })
    expect(await send({}, '{}')).toMatchObject({ status: 400, body: { error: 'invalid multipart form' } })
    expect(await send({ 'content-type': 'multipart/form-data; boundary=x' }, '--x--')).toMatchObject({ status: 400 })
    const bytes = await bundleOf(HELLO)
    expect((await installBundle(world, bytes, { name: 'hello.zip' })).body.error).toBe('bundle must be .tgz')
    const form = new FormData()
    form.set('upgrade', '1')
    const answer = await fetch(`${world.url}/api/v1/packs/install`, {
      method: 'POST',
      headers: { authorization: `Bearer ${as}` },
      body: form,
    })
    expect([answer.status, await answer.json()]).toMatchObject([400, { error: 'bundle file required' }])
    expect((await post('/packs/none/uninstall')).body.error).toBe('pack not installed')
    expect((await get('/packs/none')).body.error).toBe('not found')
  })

  test('readers see packs and do not change them; a tenant has its own', async () => {
    const bytes = await bundleOf(HELLO)
    for (const role of ['viewer', 'user', 'developer', 'operator'] as const) {
      expect((await installBundle(world, bytes, { as: world.a.keys[role] })).status).toBe(403)
      expect((await get('/packs', world.a.keys[role])).status).toBe(200)
    }
    expect((await get('/packs', world.b.keys.admin)).body).toEqual({ items: [] })
    expect((await post('/packs/hello/uninstall', {}, world.b.keys.admin)).status).toBe(404)
  })

  test('while somebody holds the locks that cordumctl takes, nothing is installed', async () => {
    const bytes = await bundleOf(HELLO)
    for (const [resource, words] of [
      ['packs:global', 'global pack lock held'],
      ['pack:hello', 'pack lock held'],
    ] as const) {
      const lock = { resource, owner: 'cordumctl:host:1', ttl_ms: 60_000 }
      expect((await post('/locks/acquire', lock)).status).toBe(200)
      expect(await installBundle(world, bytes)).toMatchObject({ status: 409, body: { error: words } })
      expect(await post('/packs/hello/uninstall')).toMatchObject({ status: 409, body: { error: words } })
      await post('/locks/release', lock)
    }
    expect((await installBundle(world, bytes)).status).toBe(200)
    expect((await post('/locks/acquire', { resource: 'packs:global', owner: 'x', ttl_ms: 1000 })).status).toBe(200)
    await post('/locks/release', { resource: 'packs:global', owner: 'x' })
  })
})

test('a pack is no way around the rights to policy and configuration', async () => {
  const { kernel, a } = world
  const admin = await world.principal(a.keys.admin)
  const installer = { ...admin, roles: ['installer'], grants: [['pack:*']] }
  const request = { id: 'r', ip: '127.0.0.1', userAgent: 'test', traceId: 't' }
  const attempt = async (parts: PackParts) =>
    installPack(kernel, installer, await readBundle(await bundleOf(packOf(parts))), {
      force: false,
      upgrade: false,
      inactive: false,
      request,
    })
  const policy = { allow: 'rules: []' }
  await expect(attempt({ id: 'rights-a', policy })).rejects.toMatchObject({
    code: 'PERM_DENIED',
    details: { required: 'policy:write' },
  })
  await expect(attempt({ id: 'rights-b', pools: { topics: {} } })).rejects.toMatchObject({
    code: 'PERM_DENIED',
    details: { required: 'config:write' },
  })
  expect(await attempt({ id: 'rights-c', workflows: { 'rights-c.w': STEP } })).toMatchObject({ id: 'rights-c' })
  expect((await install({ id: 'rights-d', policy })).status).toBe(200)
  await expect(uninstallPack(kernel, installer, 'rights-d', { purge: false, request })).rejects.toMatchObject({
    code: 'PERM_DENIED',
  })
  const { body } = await get('/policy/audit?include_edits=true')
  expect(JSON.stringify(body)).toContain('pack rights-d 1.0.0 installed')
})
