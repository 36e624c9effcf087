import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openWorld, type World } from '../../testing/world.ts'

const POLICY = `
version: t1
rules:
  - id: no-prod
    match: { topics: ["job.deploy.*"], labels: { env: prod } }
    decision: deny
    reason: not into production
    remediations:
      - { id: staging, title: Staging first, replacement_topic: job.deploy.staging, add_labels: { env: staging } }
  - id: ask-secrets
    match: { secrets_present: true }
    decision: require_approval
    reason: secrets
  - id: bounded
    match: { capabilities: [code.write] }
    decision: allow
    constraints: { budgets: { max_runtime_ms: 60000, max_retries: 2 }, sandbox: { isolated: true, network_allowlist: [a.test] } }
`
let world: World
beforeAll(async () => {
  world = await openWorld()
  await world.publish('secops/test', POLICY)
})
afterAll(() => world.close())

const ask = (body: unknown, how = 'evaluate', as = world.a.keys.viewer) =>
  world.call('POST', `/api/v1/policy/${how}`, { as, body })

describe('evaluate and simulate', () => {
  test.each(['evaluate', 'simulate'])('%s answers with every default emitted', async (how) => {
    const { status, body } = await ask({ topic: 'job.deploy.web', labels: { env: 'prod' } }, how)
    expect(status).toBe(200)
    expect(body).toEqual({
      decision: 'DECISION_TYPE_DENY',
      reason: 'not into production',
      redactedContextPtr: '',
      policySnapshot: expect.stringMatching(/.+/),
      ruleId: 'no-prod',
      constraints: null,
      approvalRequired: false,
      approvalRef: '',
      remediations: [
        {
          id: 'staging',
          title: 'Staging first',
          summary: '',
          replacementTopic: 'job.deploy.staging',
          replacementCapability: '',
          addLabels: { env: 'staging' },
          removeLabels: [],
        },
      ],
    })
  })

  test('holds name the job as their reference; constraints come as protobuf JSON', async () => {
    expect((await ask({ topic: 'job.x', job_id: 'j-1', meta: { risk_tags: ['secrets'] } })).body).toMatchObject({
      decision: 'DECISION_TYPE_REQUIRE_HUMAN',
      approvalRequired: true,
      approvalRef: 'j-1',
      ruleId: 'ask-secrets',
    })
    expect((await ask({ topic: 'job.x', meta: { capability: 'Code.Write' } })).body).toMatchObject({
      decision: 'DECISION_TYPE_ALLOW_WITH_CONSTRAINTS',
      constraints: {
        budgets: { maxRuntimeMs: '60000', maxRetries: 2, maxArtifactBytes: '0', maxConcurrentJobs: 0 },
        sandbox: { isolated: true, networkAllowlist: ['a.test'], fsReadOnly: [], fsReadWrite: [] },
        toolchain: null,
      },
    })
  })

  test('a topic outside `job.` is a denial, a missing one a refusal', async () => {
    expect(await ask({ topic: 'mail.send' })).toMatchObject({
      status: 200,
      body: { decision: 'DECISION_TYPE_DENY', reason: 'unsupported topic', policySnapshot: '' },
    })
    for (const body of [{}, { topic: '' }, { topic: null }])
      expect(await ask(body)).toMatchObject({ status: 400, body: { error: 'topic is required' } })
    expect(await ask('{')).toMatchObject({ status: 400, body: { error: 'invalid json' } })
  })

  test('effective configuration restricts further; null members count as absent', async () => {
    const body = {
      topic: 'job.x',
      labels: null,
      meta: null,
      effective_config: { safety: { denied_topics: ['job.x'] } },
    }
    expect((await ask(body)).body).toMatchObject({ decision: 'DECISION_TYPE_DENY' })
    expect((await ask({ ...body, effective_config: null })).body).toMatchObject({ decision: 'DECISION_TYPE_ALLOW' })
  })

  test('another tenant is not asked about, and has a policy of its own', async () => {
    for (const body of [{ tenant: world.b.slug }, { org_id: world.b.id }, { meta: { tenant_id: world.b.slug } }])
      expect(await ask({ topic: 'job.x', ...body })).toMatchObject({
        status: 403,
        body: { error: 'tenant access denied' },
      })
    expect((await ask({ topic: 'job.x', tenant: world.a.slug })).status).toBe(200)
    const elsewhere = await ask({ topic: 'job.deploy.web', labels: { env: 'prod' } }, 'evaluate', world.b.keys.viewer)
    expect(elsewhere.body.decision).toBe('DECISION_TYPE_ALLOW')
  })
})

test('explain adds which rules were looked at, and a sentence for people', async () => {
  const { body } = await ask({ topic: 'job.deploy.web', labels: { env: 'prod' } }, 'explain')
  expect(body).toMatchObject({ decision: 'DECISION_TYPE_DENY', ruleId: 'no-prod', omitted: 0 })
  expect(body.trace).toContainEqual({ rule_id: 'no-prod', matched: true })
  expect(body.why).toContain('not into production')
  const missed = await ask({ topic: 'job.deploy.web', labels: { env: 'dev' } }, 'explain')
  expect(missed.body.trace).toContainEqual({
    rule_id: 'no-prod',
    matched: false,
    failed_on: expect.stringContaining('labels'),
  })
})
