import { afterAll, beforeAll, expect, test } from 'vitest'
import { jsonb, sql } from '../../kernel/db/index.ts'
import { capWorker } from '../../testing/cap-worker.ts'
import { bundleOf, installBundle } from '../../testing/pack-bundle.ts'
import { openWorld, type World } from '../../testing/world.ts'

/**
 * What cordumctl does to install a pack: it knows no pack endpoints and composes documents, schemas, workflows and locks
 * (jobs.md §24.3, §32). Then what the guardrails demo does with it.
 */
let world: World
beforeAll(async () => {
  world = await openWorld()
  // The demo approves with the key that asked, as one person at a laptop does.
  await world.kernel.db.tenant(world.a.id, (tx) =>
    tx.run(sql`update tenants set settings = ${jsonb({ approvals: { allowSelf: true } })} where id = ${world.a.id}`),
  )
})
afterAll(() => world.close())

const get = (path: string) => world.call('GET', `/api/v1${path}`)
const post = (path: string, body: unknown) => world.call('POST', `/api/v1${path}`, { body })
const OWNER = 'cordumctl:laptop:4711'

const POLICY = `
version: demo
rules:
  - id: demo-danger
    match: { topics: ["job.demo.*"], risk_tags: [destructive] }
    decision: deny
    reason: nothing is destroyed here
    remediations:
      - { id: safer, title: Do the safe thing, replacement_topic: job.demo.safe, remove_labels: [danger] }
  - id: demo-ask
    match: { topics: ["job.demo.ask"] }
    decision: require_approval
    reason: a person decides
`

/** As the Go client writes it: capitalised inside the manifest and the tests, null for what is unset. */
const RECORD = {
  id: 'demo',
  version: '0.1.0',
  status: 'ACTIVE',
  installed_at: '2026-01-02T03:04:05.123456789Z',
  installed_by: OWNER,
  manifest: {
    metadata: { ID: 'demo', Version: '0.1.0', Title: 'Demo', Description: '', Image: '' },
    compatibility: { ProtocolVersion: 1, MinCoreVersion: '0.1.0', MaxCoreVersion: '' },
    topics: [{ Name: 'job.demo.ask', Requires: null, RiskTags: ['x'], Capability: 'demo' }],
  },
  resources: { schemas: { 'demo/Input': 'aa' }, workflows: { 'demo.flow': 'bb' } },
  overlays: {
    config: [
      {
        name: 'pools',
        scope: 'system',
        scope_id: 'default',
        key: 'pools',
        patch: { topics: { 'job.demo.ask': 'demo' } },
      },
    ],
    policy: [{ name: 'default', fragment_id: 'demo/default' }],
  },
  tests: {
    PolicySimulations: [
      {
        Name: 'danger is denied',
        Request: {
          TenantId: '',
          Topic: 'job.demo.x',
          Capability: '',
          RiskTags: ['destructive'],
          Requires: null,
          PackId: 'demo',
          ActorId: '',
          ActorType: '',
        },
        ExpectDecision: 'deny',
      },
    ],
  },
}

test('cordumctl pack install, list, verify and the guardrails demo', async () => {
  expect((await get('/status')).body.build.version).toMatch(/^\d+\.\d+\.\d+/)
  for (const resource of ['packs:global', 'pack:demo'])
    expect((await post('/locks/acquire', { resource, owner: OWNER, mode: 'exclusive', ttl_ms: 60_000 })).status).toBe(
      200,
    )

  // It relies on 404 for what is not there, and sends schema ids with their slash.
  for (const path of [
    '/config?scope=system&scope_id=packs',
    '/config?scope=system&scope_id=policy',
    '/config?scope=system&scope_id=default',
    '/schemas/demo/Input',
    '/workflows/demo.flow',
  ])
    expect((await get(path)).status, path).toBe(404)

  const schema = { type: 'object', properties: { n: { type: 'integer' } } }
  expect((await post('/schemas', { id: 'demo/Input', schema })).status).toBe(204)
  const steps = { ask: { type: 'worker', topic: 'job.demo.ask', depends_on: null } }
  expect((await post('/workflows', { id: 'demo.flow', name: 'Demo', steps, input_schema: schema })).status).toBe(201)
  const pools = {
    topics: { 'job.demo.ask': 'demo', 'job.demo.safe': ['demo'], 'job.demo.x': 'demo' },
    pools: { demo: { requires: [] } },
  }
  const data = { pools, timeouts: { workflows: { 'demo.flow': 120 } } }
  expect((await post('/config', { scope: 'system', scope_id: 'default', data, meta: null })).status).toBe(204)
  const bundles = {
    'demo/default': { content: POLICY, version: '0.1.0', sha256: 'x', installed_at: '2026-01-02T03:04:05Z' },
  }
  expect((await post('/config', { scope: 'system', scope_id: 'policy', data: { bundles } })).status).toBe(204)
  expect(
    (await post('/config', { scope: 'system', scope_id: 'packs', data: { installed: { demo: RECORD } } })).status,
  ).toBe(204)
  for (const resource of ['pack:demo', 'packs:global'])
    expect((await post('/locks/release', { resource, owner: OWNER })).body.released).toBe(true)

  const simulated = await post('/policy/simulate', {
    topic: 'job.demo.x',
    meta: { risk_tags: ['destructive'], requires: null, pack_id: 'demo' },
  })
  expect(simulated.body.decision).toBe('DECISION_TYPE_DENY')

  // Our endpoints show the record in the casing of the document, whoever wrote it.
  expect((await get('/packs/demo')).body).toEqual({
    ...RECORD,
    installed_at: '2026-01-02T03:04:05.123Z',
    manifest: {
      metadata: { id: 'demo', version: '0.1.0', title: 'Demo', description: '' },
      compatibility: { protocolVersion: 1, minCoreVersion: '0.1.0', maxCoreVersion: '' },
      topics: [{ name: 'job.demo.ask', requires: null, riskTags: ['x'], capability: 'demo' }],
    },
    tests: {
      policySimulations: [
        {
          name: 'danger is denied',
          request: {
            tenantId: '',
            topic: 'job.demo.x',
            capability: '',
            riskTags: ['destructive'],
            requires: null,
            packId: 'demo',
            actorId: '',
            actorType: '',
          },
          expectDecision: 'deny',
        },
      ],
    },
  })
  expect((await post('/packs/demo/verify', {})).body.results).toMatchObject([
    { expected: 'DENY', got: 'DENY', ok: true },
  ])

  // The guardrails demo: the run starts right after, and its first job must be held already.
  const worker = await capWorker(world, world.a, {
    id: 'w-demo',
    pool: 'demo',
    topics: ['job.demo.ask', 'job.demo.safe'],
    work: () => ({}),
  })
  try {
    worker.heartbeat()
    const started = await post('/workflows/demo.flow/runs', { n: 1 })
    const waiting = async () => (await get('/approvals?limit=1')).body.items[0]
    await expect.poll(waiting, { timeout: 6000 }).toBeDefined()
    const approval = await waiting()
    expect(approval.job.id).toBe(approval.job_id)
    expect(
      (
        await world.call('POST', `/api/v1/approvals/${approval.job_id}/approve`, {
          as: world.a.keys['platform-admin'],
          body: { reason: 'fine' },
        })
      ).status,
    ).toBeLessThan(300)
    await expect
      .poll(async () => (await get(`/workflow-runs/${started.body.run_id}`)).body.status, { timeout: 10_000 })
      .toBe('succeeded')

    const danger = (await post('/jobs', { topic: 'job.demo.x', prompt: 'rm', risk_tags: ['destructive'] })).body
      .job_id as string
    await expect
      .poll(async () => (await get('/dlq/page?limit=1')).body.items[0]?.job_id, { timeout: 6000 })
      .toBe(danger)
    const remedied = await post(`/jobs/${danger}/remediate`, {})
    expect(remedied.status).toBeLessThan(300)
    expect((await get(`/jobs/${remedied.body.job_id}`)).body.topic).toBe('job.demo.safe')
  } finally {
    await worker.close()
  }
})

test('both kinds of installers share the registry: its rewriting keeps what only we know, and either removes the other’s', async () => {
  const manifest = JSON.stringify({ metadata: { id: 'ours', version: '1.0.0' }, compatibility: { protocolVersion: 1 } })
  const ours = (await installBundle(world, await bundleOf({ 'pack.yaml': manifest }))).body
  const document = (await get('/config?scope=system&scope_id=packs')).body
  expect(Object.keys(document.data.installed)).toEqual(['demo', 'ours'])
  // The Go structs know neither sha256 nor signature.
  const { sha256: _hash, signature: _signature, ...known } = document.data.installed.ours
  const rewritten = { installed: { ...document.data.installed, ours: known } }
  expect((await post('/config', { scope: 'system', scope_id: 'packs', data: rewritten })).status).toBe(204)
  expect((await get('/packs/ours')).body).toEqual(ours)

  expect((await post('/packs/demo/uninstall', { purge: true })).body.status).toBe('DISABLED')
  expect((await get('/workflows/demo.flow')).status).toBe(404)
  expect((await get('/config?scope=system&scope_id=policy')).status).toBe(404)
  expect((await get('/config')).body.data.pools.topics).not.toHaveProperty('job.demo.ask')
  expect((await post('/policy/evaluate', { topic: 'job.demo.ask' })).body.decision).toBe('DECISION_TYPE_ALLOW')
})
