import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { putDocument } from '../../kernel/policy/index.ts'
import { openReplica, openWorld, type World } from '../../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const PATH = '/api/v1/policy'
const policy = (rule: string, decision = 'deny', topic = 'job.shop.*'): string =>
  `rules:\n  - id: ${rule}\n    match: { topics: ["${topic}"] }\n    decision: ${decision}\n    reason: of ${rule}\n`

const get = (path: string, as = world.a.keys.admin) => world.call('GET', `${PATH}${path}`, { as })
const put = (id: string, body: unknown, headers: Record<string, string> = {}) =>
  world.call('PUT', `${PATH}/bundles/${id}`, { body, headers })
const post = (path: string, body: unknown = {}, headers: Record<string, string> = {}) =>
  world.call('POST', `${PATH}${path}`, { body, headers })
/** The rule that decides about a topic now. */
const ruleOf = async (topic: string, as = world.a.keys.viewer): Promise<string> =>
  (await world.call('POST', `${PATH}/evaluate`, { as, body: { topic } })).body.ruleId

describe('bundles', () => {
  test('a new bundle is not in force before it is published, and is at once when it was', async () => {
    const made = await put('secops~shop', { content: policy('no-shop'), author: 'ann', message: 'first' })
    expect(made).toMatchObject({ status: 200, body: { id: 'secops/shop', updated_at: expect.stringMatching(/Z$/) } })
    expect(await get('/bundles/secops~shop')).toMatchObject({
      status: 200,
      body: { id: 'secops/shop', content: policy('no-shop'), enabled: false, author: 'ann', message: 'first' },
    })
    expect(await ruleOf('job.shop.buy')).toBe('')

    const { status, body } = await post('/publish', { bundle_ids: ['secops/shop'], author: 'bob', note: 'go' })
    expect({ status, body }).toMatchObject({ status: 200, body: { published: ['secops/shop'] } })
    expect(body.snapshot_before).not.toBe(body.snapshot_after)
    expect(await ruleOf('job.shop.buy')).toBe('no-shop')
    expect((await get('/bundles/secops~shop')).body).toMatchObject({ enabled: true, author: 'bob', message: 'first' })
  })

  test('a write without its optional members keeps them, and counts at once where the bundle is enabled', async () => {
    await put('secops~shop', { content: policy('no-shop-2') })
    expect((await get('/bundles/secops~shop')).body).toMatchObject({ enabled: true, author: 'bob', message: 'first' })
    expect(await ruleOf('job.shop.buy')).toBe('no-shop-2')
    await put('secops~shop', { content: policy('no-shop-2'), enabled: false })
    expect(await ruleOf('job.shop.buy')).toBe('')
    await put('secops~shop', { content: policy('no-shop-2'), enabled: true })
  })

  test('the query overrides the path, and a percent-encoded slash is the same as a tilde', async () => {
    const body = { id: 'secops/shop' }
    expect(await get('/bundles/x?bundle_id=secops%2Fshop')).toMatchObject({ status: 200, body })
    expect(await get('/bundles/secops%2Fshop')).toMatchObject({ status: 200, body })
  })

  test.each([
    ['pack~x', { content: 'rules: []' }, 'bundle id must start with secops/'],
    ['secops~', { content: 'rules: []' }, /^bundle id must be secops\/ and a name/],
    ['secops~x', {}, 'content required'],
    ['secops~x', { content: ' ' }, 'content required'],
    ['secops~x', { content: 'rules: [{decision: maybe}]' }, /^invalid policy content: line 1.*maybe/],
    ['secops~x', '[', 'invalid json'],
    ['%20', { content: 'rules: []' }, 'bundle id required'],
  ])('a write of %s with %j is refused', async (id, body, error) => {
    const answer = await put(id, body)
    expect(answer.status).toBe(400)
    expect(answer.body.error).toMatch(error)
    expect((await get('/bundles/secops~x')).status).toBe(404)
  })

  test('what is not there, and what is another tenant’s, is not found', async () => {
    expect(await get('/bundles/secops~none')).toMatchObject({ status: 404, body: { error: 'bundle not found' } })
    expect((await get('/bundles/secops~shop', world.b.keys.admin)).status).toBe(404)
    expect(await ruleOf('job.shop.buy', world.b.keys.viewer)).toBe('')
  })

  test('the list tells where each comes from, and the whole of them', async () => {
    await world.kernel.db.tenant(world.a.id, (tx) =>
      putDocument(tx, world.kernel.clock.now(), {
        id: 'acme/overlay',
        content: policy('pack-shop', 'allow'),
        enabled: true,
        version: '1.2.0',
        installedAt: world.kernel.clock.now(),
      }),
    )
    await world.kernel.policy.changed(world.a.id)
    const { body } = await get('/bundles')
    expect(body.items).toMatchObject([
      {
        id: 'acme/overlay',
        source: 'pack',
        enabled: true,
        version: '1.2.0',
        sha256: expect.stringMatching(/^\w{64}$/),
      },
      { id: 'default', source: 'core', enabled: true },
      { id: 'secops/shop', source: 'secops', enabled: true },
    ])
    expect(body.bundles['acme/overlay']).toMatchObject({ content: policy('pack-shop', 'allow'), version: '1.2.0' })
    expect(body.updated_at).toMatch(/Z$/)
    // jobs.md 20.4, fix: an administrator's rule is not shadowed by a pack whose name comes first.
    expect(await ruleOf('job.shop.buy')).toBe('no-shop-2')
  })

  test('rules come as written, with their origin, in the order of evaluation; disabled ones on demand', async () => {
    await put('secops~off', { content: policy('sleeping') })
    const { body } = await get('/rules')
    expect(body.errors).toBeUndefined()
    expect(body.items[0]).toEqual({
      id: 'no-shop-2',
      match: { topics: ['job.shop.*'] },
      decision: 'deny',
      reason: 'of no-shop-2',
      source: { fragment_id: 'secops/shop', pack_id: 'secops', overlay_name: 'shop', sha256: expect.any(String) },
    })
    const ids = (items: { id: string }[]): string[] => items.map(({ id }) => id)
    expect(ids(body.items)).toEqual(expect.arrayContaining(['pack-shop', 'production-exec']))
    expect(ids(body.items)).not.toContain('sleeping')
    expect(ids((await get('/rules?include_disabled=yes')).body.items)).toContain('sleeping')
  })

  test('two who edit the same bundle do not overwrite each other', async () => {
    const tag = (await get('/bundles/secops~shop')).headers.get('etag') ?? ''
    const first = await put('secops~shop', { content: policy('by-ann') }, { 'if-match': tag })
    expect(first.status).toBe(200)
    const second = await put('secops~shop', { content: policy('by-bob') }, { 'if-match': tag })
    expect(second).toMatchObject({
      status: 409,
      body: { error: 'the bundle was changed by someone else; read it again' },
    })
    expect(await ruleOf('job.shop.buy')).toBe('by-ann')
    const next = first.headers.get('etag') ?? ''
    expect((await put('secops~shop', { content: policy('no-shop-2') }, { 'if-match': next })).status).toBe(200)
    expect((await put('secops~shop', { content: policy('x') }, { 'if-none-match': '*' })).status).toBe(409)
    expect((await put('secops~new', { content: policy('x') }, { 'if-match': '*' })).status).toBe(409)
    expect((await put('secops~new', { content: policy('x') }, { 'if-none-match': '*' })).status).toBe(200)
  })

  test('a bundle is removed by those who have read it, and its rules with it; those of others stay', async () => {
    const remove = (id: string, headers: Record<string, string> = {}) =>
      world.call('DELETE', `${PATH}/bundles/${id}`, { headers })
    const made = await put('secops~gone', { content: policy('gone', 'deny', 'job.gone'), enabled: true })
    expect(await ruleOf('job.gone')).toBe('gone')
    expect((await remove('secops~gone', { 'if-match': '"another"' })).status).toBe(409)
    expect((await remove('secops~gone', { 'if-match': made.headers.get('etag') ?? '' })).status).toBe(204)
    expect(await ruleOf('job.gone')).toBe('')
    expect(await remove('secops~gone')).toMatchObject({ status: 404, body: { error: 'bundle not found' } })
    expect((await remove('acme~overlay')).status).toBe(400)
  })

  test('a draft is simulated in place of its bundle; nothing is stored', async () => {
    const ask = (body: unknown, as = world.a.keys.admin) =>
      world.call('POST', `${PATH}/bundles/secops~shop/simulate`, { as, body })
    const request = { topic: 'job.shop.buy' }
    expect((await ask({ request })).body).toMatchObject({
      ruleId: 'no-shop-2',
      policySnapshot: expect.stringMatching(/^cfg:\w{64}$/),
    })
    const draft = await ask({ request, content: policy('drafted', 'require_approval') })
    expect(draft.body).toMatchObject({ decision: 'DECISION_TYPE_REQUIRE_HUMAN', ruleId: 'drafted' })
    expect(await ruleOf('job.shop.buy')).toBe('no-shop-2')
    expect(await ask({ request: {} })).toMatchObject({ status: 400, body: { error: 'topic is required' } })
    expect((await ask({ request, content: 'rules: 3' })).body.error).toMatch(/^invalid policy content/)
    // jobs.md §10, fix: for those who may write policy.
    expect((await ask({ request }, world.a.keys.user)).status).toBe(403)
    expect((await ask({ request: { ...request, tenant: world.b.slug } })).status).toBe(403)
  })
})

describe('history', () => {
  test('snapshots of what was in force are told newest first', async () => {
    const { body: before } = await get('/snapshots', world.a.keys.viewer)
    await put('secops~shop', { content: policy('no-shop-3') })
    const { body: after } = await get('/snapshots', world.a.keys.viewer)
    expect(after.snapshots.length).toBeLessThanOrEqual(10)
    expect(after.snapshots[1]).toBe(before.snapshots[0])
    const { body } = await world.call('POST', `${PATH}/evaluate`, { body: { topic: 'job.x' } })
    expect(after.snapshots[0]).toBe(body.policySnapshot)
  })

  test('a copy of the set is made, listed, read, and rolled back to, with what packs brought', async () => {
    const { body: capture } = await post('/bundles/snapshots', { note: 'before the weekend' })
    expect(capture).toMatchObject({ note: 'before the weekend', id: expect.stringMatching(/Z-[0-9a-f]{10}$/) })
    expect(Object.keys(capture.bundles)).toEqual(expect.arrayContaining(['acme/overlay', 'default', 'secops/shop']))
    expect((await get('/bundles/snapshots')).body.items).toContainEqual({
      id: capture.id,
      created_at: capture.created_at,
      note: 'before the weekend',
    })
    expect((await get(`/bundles/snapshots/${encodeURIComponent(capture.id)}`)).body).toEqual(capture)
    expect(await get('/bundles/snapshots/none')).toMatchObject({ status: 404, body: { error: 'snapshot not found' } })

    await put('secops~shop', { content: policy('weekend', 'allow') })
    expect(await ruleOf('job.shop.buy')).toBe('weekend')
    const back = await post('/rollback', { snapshot_id: capture.id, message: 'back' })
    expect(back).toMatchObject({ status: 200, body: { rollback_to: capture.id } })
    expect(await ruleOf('job.shop.buy')).toBe('no-shop-3')
    expect((await get('/bundles/acme~overlay')).body).toMatchObject({ enabled: true })
  })

  test('what cannot be published or rolled back to is refused in the documented words', async () => {
    expect(await post('/rollback')).toMatchObject({ status: 400, body: { error: 'snapshot_id required' } })
    expect(await post('/rollback', { snapshot_id: 'none' })).toMatchObject({
      status: 404,
      body: { error: 'snapshot not found' },
    })
    expect(await post('/publish', { bundle_ids: ['acme/overlay'] })).toMatchObject({
      status: 400,
      body: { error: 'no policy bundles to publish' },
    })
    expect(await post('/publish', '[')).toMatchObject({ status: 400, body: { error: 'invalid json' } })
    const elsewhere = await world.call('POST', `${PATH}/publish`, { as: world.b.keys.admin, body: {} })
    expect(elsewhere).toMatchObject({ status: 400, body: { error: 'no policy bundles to publish' } })
  })

  test('who publishes or rolls back can say which set they have read', async () => {
    const tag = (await get('/bundles')).headers.get('etag') ?? ''
    await put('secops~shop', { content: policy('no-shop-4') })
    const stale = await post('/publish', {}, { 'if-match': tag })
    expect(stale).toMatchObject({ status: 409, body: { error: 'policy was changed by someone else; read it again' } })
    expect((await get('/bundles/secops~off')).body.enabled).toBe(false)
    const fresh = (await get('/bundles')).headers.get('etag') ?? ''
    const { body } = await post('/publish', {}, { 'if-match': fresh })
    expect(body.published).toEqual(['secops/new', 'secops/off', 'secops/shop'])
  })

  test('the audit tells publications and rollbacks, newest first, and edits on demand', async () => {
    const { body } = await get('/audit')
    expect(body.items.map(({ action }: { action: string }) => action)).toEqual(['publish', 'rollback', 'publish'])
    const [{ bundle_ids: ids }, rollback, publish] = body.items
    expect(ids).toEqual(['secops/new', 'secops/off', 'secops/shop'])
    expect(rollback).toMatchObject({ message: 'back', role: 'admin', actor_id: expect.stringMatching(/.+/) })
    expect(publish).toMatchObject({ bundle_ids: ['secops/shop'], message: 'go' })
    expect(publish.snapshot_before).not.toBe(publish.snapshot_after)
    const all = await get('/audit?include_edits=true')
    const actions = all.body.items.map(({ action }: { action: string }) => action)
    expect(actions).toEqual(expect.arrayContaining(['update', 'capture', 'rollback', 'publish']))
    expect((await get('/audit', world.b.keys.admin)).body.items).toEqual([])
  })
})

test('a change counts on another replica within a moment, without waiting for its sweep', async () => {
  const replica = await openReplica(world)
  try {
    const there = async () => (await replica.policy.evaluate(world.a.id, { topic: 'job.everywhere' })).ruleId
    expect(await there()).toBe('')
    const began = performance.now()
    for (const rule of ['one', 'two', 'three', 'four']) {
      await put('secops~everywhere', { content: policy(rule, 'deny', 'job.everywhere'), enabled: true })
      await expect.poll(there, { interval: 10, timeout: 5000 }).toBe(rule)
    }
    // The sweep comes every two seconds: four changes one after the other would have needed more than six.
    expect(performance.now() - began).toBeLessThan(5000)
  } finally {
    await replica.close()
  }
})
