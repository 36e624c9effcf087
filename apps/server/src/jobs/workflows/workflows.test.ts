import { afterAll, beforeAll, expect, test } from 'vitest'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const post = (body: unknown, path = '/api/v1/workflows') => world.call('POST', path, { body })
const get = async (path: string) => (await world.call('GET', path)).body

test('a definition is made, read, listed, replaced and removed', async () => {
  const made = await post({
    id: 'deploy',
    name: 'Deploy',
    timeout_sec: 60,
    config: { a: null },
    steps: { go: { id: 'other', type: 'approval' } },
  })
  expect(made).toMatchObject({ status: 201, body: { id: 'deploy' } })
  const first = await get('/api/v1/workflows/deploy')
  expect(first).toMatchObject({
    id: 'deploy',
    org_id: world.a.slug,
    name: 'Deploy',
    timeout_sec: 60,
    config: { a: null },
    steps: { go: { id: 'go', type: 'approval' } },
    created_by: 'admin',
    revision: 1,
  })
  // What is not given stays; steps are always replaced; the time of its making stays.
  await post({ id: 'deploy', description: 'Ships it', steps: { wait: { type: 'delay', delay_sec: 1 } } })
  const second = await get('/api/v1/workflows/deploy')
  expect(second).toMatchObject({ name: 'Deploy', description: 'Ships it', timeout_sec: 60, revision: 2 })
  expect(Object.keys(second.steps)).toEqual(['wait'])
  expect(second.created_at).toBe(first.created_at)
  await post({ id: 'deploy', steps: { wait: { type: 'delay', delay_sec: 1 } } })
  expect(await get('/api/v1/workflows/deploy')).toMatchObject({ revision: 2 })

  await post({ id: 'later', steps: {} })
  expect((await get('/api/v1/workflows')).map(({ id }: { id: string }) => id)).toEqual(['later', 'deploy'])
  const versions = await get('/wheelhouse/api/v1/workflows/deploy/versions')
  expect(versions.items.map(({ revision }: { revision: number }) => revision)).toEqual([2, 1])
  expect(await get('/wheelhouse/api/v1/workflows/deploy/versions/1')).toMatchObject({ steps: { go: {} }, revision: 1 })

  expect((await world.call('DELETE', '/api/v1/workflows/deploy')).status).toBe(204)
  expect((await world.call('DELETE', '/api/v1/workflows/deploy')).status).toBe(404)
  expect((await world.call('GET', '/api/v1/workflows/deploy')).body).toMatchObject({ error: 'not found' })
  await post({ id: 'deploy', steps: {} })
  expect(await get('/api/v1/workflows/deploy')).toMatchObject({ revision: 3, name: '' })
})

test('every problem of a definition is named at once, and nothing is saved', async () => {
  const bad = {
    id: 'bad',
    input_schema: { type: 'nonsense' },
    steps: {
      a: { type: 'transform', depends_on: ['none'], input: { x: '${1 +' } },
      b: { type: 'strange' },
      c: { topic: 'job.x', depends_on: ['d'] },
      d: { topic: 'job.x', depends_on: ['c'], condition: 'input.x ==' },
    },
  }
  const answer = await post(bad)
  expect(answer.status).toBe(400)
  const { problems } = answer.body.details
  const paths = problems.map(({ path }: { path: string }) => path).join(' ')
  for (const place of ['input_schema', 'steps.a.depends_on', 'steps.a.input', 'steps.b', 'steps.d.condition'])
    expect(paths).toContain(place)
  expect((await world.call('GET', '/api/v1/workflows/bad')).status).toBe(404)
  const checked = await post(bad, '/wheelhouse/api/v1/workflows/validate')
  expect(checked).toMatchObject({ status: 200, body: { plan: null } })
  expect(checked.body.problems).toHaveLength(problems.length)
})

test('the plan of a definition is shown in layers, saved or not', async () => {
  const steps = {
    a: { topic: 'job.x', on_error: 'mend' },
    b: { type: 'approval', depends_on: ['a'] },
    c: { topic: 'job.y', depends_on: ['a'], for_each: 'input.items' },
    d: { type: 'notify', depends_on: ['b', 'c'] },
    mend: { type: 'transform', input: {} },
  }
  const { plan, problems } = (await post({ steps }, '/wheelhouse/api/v1/workflows/validate')).body
  expect(problems).toEqual([])
  expect(plan.layers).toEqual([['a'], ['b', 'c', 'mend'], ['d']])
  expect(plan.nodes.find(({ id }: { id: string }) => id === 'c')).toMatchObject({
    kind: 'job',
    topic: 'job.y',
    layer: 1,
    each: true,
  })
  expect(plan.edges).toContainEqual({ from: 'a', to: 'mend', on: 'failure' })
  await post({ id: 'planned', steps })
  expect(await get('/wheelhouse/api/v1/workflows/planned/plan')).toEqual(plan)
  expect((await world.call('GET', '/wheelhouse/api/v1/workflows/planned/plan?revision=9')).status).toBe(404)
})

test('another organisation in a definition is refused', async () => {
  expect((await post({ org_id: world.b.slug, steps: {} })).status).toBe(403)
})
