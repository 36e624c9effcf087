import { afterAll, beforeAll, expect, test } from 'vitest'
import { jsonb, sql } from '../../kernel/db/index.ts'
import { admitExternal, createKey, openSession, revokeKey } from '../../kernel/identity/index.ts'
import { openRuns, type Runs } from '../../testing/runs.ts'

let runs: Runs
beforeAll(async () => {
  runs = await openRuns()
})
afterAll(() => runs.close())

/** Whoever is behind a key. */
const personOf = async (key: string): Promise<string> => (await runs.world.principal(key)).ownerId ?? ''

async function giveRole(userId: string, role: string): Promise<void> {
  expect((await runs.call('PUT', `/api/v1/users/${userId}`, { roles: [role] })).status).toBe(200)
}

async function defineRole(name: string, patterns: readonly string[]): Promise<void> {
  const { kernel, a } = runs.world
  await kernel.db.tenant(a.id, (tx) =>
    tx.run(sql`
      insert into roles (tenant_id, name, patterns) values (${a.id}, ${name}, ${[...patterns]})
      on conflict (tenant_id, name) do update set patterns = excluded.patterns`),
  )
  kernel.identity.changed()
}

/** Starts a run whose steps wait for an approval, as somebody; their ids. */
async function waiting(steps: Record<string, object>, as: string): Promise<{ workflow: string; run: string }> {
  const after = Object.entries(steps).map(([id, step]) => [id, { depends_on: ['ask'], ...step }])
  const workflow = await runs.save({ ask: { type: 'approval' }, ...Object.fromEntries(after) })
  const started = await runs.call('POST', `/api/v1/workflows/${workflow}/runs`, {}, as)
  expect(started.status).toBe(200)
  await runs.until(started.body.run_id, 'waiting')
  return { workflow, run: started.body.run_id }
}

async function approved(
  { workflow, run }: { workflow: string; run: string },
  status: string,
): ReturnType<Runs['until']> {
  expect((await runs.decide(workflow, run, 'ask', { approved: true })).status).toBe(204)
  return runs.until(run, status)
}

const jobsOf = (run: string): Promise<{ id: string; grants: string[][] }[]> =>
  runs.world.kernel.db.tenant(runs.world.a.id, (tx) =>
    tx.many(sql`
      select j.id, pr.principal -> 'grants' as grants from jobs j
        join job_principals pr on pr.tenant_id = j.tenant_id and pr.hash = j.principal_hash where j.run_id = ${run}`),
  )

test('a run of somebody who may no longer run workflows does nothing more, and says why', async () => {
  const ada = await runs.world.person(runs.world.a, 'ada', 'user')
  const called = await runs.save({ quiet: { type: 'transform', input: {} } })
  const goOn = { on_error: 'continue' }
  const waits = await waiting(
    {
      job: { topic: 'job.echo', input: {}, ...goOn },
      http: { type: 'http', input: { url: 'http://127.0.0.1:1/' }, ...goOn },
      tell: { type: 'notify', input: { message: 'here' }, ...goOn },
      sub: { type: 'subworkflow', workflow_id: called, input: {}, ...goOn },
      again: { type: 'approval', ...goOn },
      each: { for_each: '[1, 2]', topic: 'job.echo', ...goOn },
      plain: { type: 'transform', input: { fine: true } },
    },
    ada,
  )
  await giveRole(await personOf(ada), 'viewer')
  const { steps } = await approved(waits, 'succeeded')
  for (const id of ['job', 'http', 'tell', 'sub', 'again', 'each'])
    expect(steps[id], id).toMatchObject({
      status: 'failed',
      error: { code: 'PERM_DENIED', message: expect.stringContaining('ada started this run and may no longer') },
    })
  expect(steps.plain.status).toBe('succeeded')
  expect(await jobsOf(waits.run)).toEqual([])
  const runsOfCalled = await runs.call('GET', `/api/v1/workflows/${called}/runs`)
  expect(runsOfCalled.body).toEqual([])
  expect(await runs.timeline(waits.run)).not.toContain('step_event_emitted')
})

test('a run of somebody who is frozen tells and asks nobody; its jobs wait for the release', async () => {
  const key = await runs.world.person(runs.world.a, 'gone', 'user')
  const goOn = { on_error: 'continue' }
  const waits = await waiting(
    {
      tell: { type: 'notify', input: { message: 'here' }, ...goOn },
      again: { type: 'approval', ...goOn },
      job: { topic: 'job.echo', input: {} },
    },
    key,
  )
  const freeze = (verb: 'freeze' | 'thaw') => runs.call('POST', `/wheelhouse/api/v1/principals/${person}/${verb}`)
  const person = await personOf(key)
  expect((await freeze('freeze')).status).toBeLessThan(300)
  expect((await runs.decide(waits.workflow, waits.run, 'ask', { approved: true })).status).toBe(204)
  await expect
    .poll(async () => (await runs.call('GET', `/api/v1/workflow-runs/${waits.run}`)).body.steps.again?.status)
    .toBe('failed')
  const { steps } = (await runs.call('GET', `/api/v1/workflow-runs/${waits.run}`)).body
  for (const id of ['tell', 'again'])
    expect(steps[id], id).toMatchObject({
      error: { code: 'principal_frozen', message: expect.stringContaining('gone started this run and is frozen') },
    })
  expect(steps.job.status).toBe('running')
  expect((await freeze('thaw')).status).toBeLessThan(300)
  await runs.until(waits.run, 'succeeded')
})

test('a step needs the right to its own verb at the moment it acts, and its job may no more than is left', async () => {
  await defineRole('mover', ['workflow:execute', 'job:submit', 'target:execute'])
  const key = await runs.world.person(runs.world.a, 'mover', 'mover')
  const steps = {
    echo: { topic: 'job.echo', input: {} },
    restart: { topic: 'job.wh.release.target.check', input: {}, on_error: 'continue' },
  }
  const waits = await waiting(steps, key)
  await defineRole('mover', ['workflow:execute'])
  const done = await approved(waits, 'succeeded')
  expect(done.steps.restart.error).toMatchObject({
    code: 'PERM_DENIED',
    message: expect.stringContaining('target:execute'),
  })
  const [job, ...others] = await jobsOf(waits.run)
  expect(others).toEqual([])
  expect(job?.grants).toContainEqual(['workflow:execute'])
})

test('what a key was narrowed to, and what its owner lost, both reach its runs', async () => {
  const { kernel, a } = runs.world
  const owner = await personOf(await runs.world.person(a, 'owner', 'operator'))
  await defineRole('ci', ['workflow:execute', 'target:execute'])
  const { token } = await kernel.db.auth((tx) =>
    createKey(tx, kernel.clock.now(), { tenantId: a.id, ownerId: owner, name: 'ci', roles: ['ci'] }),
  )
  const [narrowed, kept] = [await waiting({ job: { topic: 'job.echo' } }, token), await waiting({}, token)]
  expect((await approved(kept, 'succeeded')).status).toBe('succeeded')
  await defineRole('ci', ['target:execute'])
  expect((await approved(narrowed, 'failed')).error.message).toContain('may no longer')
  await defineRole('ci', ['workflow:execute'])
  const lost = await waiting({ job: { topic: 'job.echo' } }, token)
  await giveRole(owner, 'viewer')
  expect((await approved(lost, 'failed')).error.message).toContain('may no longer')
})

test('who was promoted since does no more than they could at the start, and a key that ended leaves its runs to its owner', async () => {
  const { kernel, a } = runs.world
  const key = await runs.world.person(a, 'riser', 'user')
  const waits = await waiting({ restart: { topic: 'job.wh.release.target.check', input: {} } }, key)
  await giveRole(await personOf(key), 'admin')
  expect((await approved(waits, 'failed')).error.message).toContain('target:execute')
  const owner = await personOf(key)
  const { key: made, token } = await kernel.db.auth((tx) =>
    createKey(tx, kernel.clock.now(), { tenantId: a.id, ownerId: owner, name: 'short', roles: ['user'] }),
  )
  const ended = await waiting({ job: { topic: 'job.echo' } }, token)
  await kernel.db.tenant(a.id, (tx) => revokeKey(tx, kernel.clock.now(), made.id))
  kernel.identity.changed()
  await approved(ended, 'succeeded')
})

test('rights that came with a login at a provider last as long as the provider’s last word, not as the session', async () => {
  const { kernel, a } = runs.world
  const { db, clock } = kernel
  await db.auth((tx) => tx.run(sql`insert into installation (key, value) values ('first_tenant', ${jsonb(a.id)})`))
  const bound = await runs.call('POST', '/wheelhouse/api/v1/role-bindings', { role: 'user', group: 'builders' })
  expect(bound.status).toBe(201)
  const login = async (groups: readonly string[]) =>
    db.auth(async (tx) => {
      const { userId } = await admitExternal(tx, clock.now(), {
        by: 'oidc',
        issuer: 'https://idp.test',
        subject: 'grace',
        name: 'grace',
        emailVerified: false,
        groups,
        expiresAt: clock.now() + 60_000,
      })
      return openSession(tx, clock.now(), { tenantId: a.id, principalId: userId, kind: 'session' })
    })
  const { token, id } = await login(['builders'])
  const [goesOn, stops] = [
    await waiting({ job: { topic: 'job.echo' } }, token),
    await waiting({ job: { topic: 'job.echo' } }, token),
  ]
  await db.auth((tx) => tx.run(sql`delete from sessions where tenant_id = ${a.id} and id = ${id}`))
  kernel.identity.changed()
  await approved(goesOn, 'succeeded')
  await login([])
  kernel.identity.changed()
  expect((await approved(stops, 'failed')).error.message).toContain('may no longer')
})
