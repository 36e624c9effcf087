import { randomUUID } from 'node:crypto'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testDatabase } from '../../testing/world.ts'
import { testClock } from '../clock/index.ts'
import { openDb, sql } from '../db/index.ts'
import type { Db, Tx } from '../db/index.ts'
import {
  DEFAULT_POLICY_ID,
  PolicyEngine,
  captureDocuments,
  deleteDocument,
  getCapture,
  getDocument,
  installDefaultPolicy,
  listCaptures,
  listDocuments,
  listSnapshotIds,
  publishDocuments,
  putDocument,
  rollbackDocuments,
  snapshotAt,
} from './index.ts'
import type { PolicyEngineOptions } from './index.ts'

const log = pino({ level: 'silent' })
const clock = testClock(Date.UTC(2026, 0, 2, 3, 4, 5, 678))
let db: Db
let drop: () => Promise<void>
const engines: PolicyEngine[] = []

beforeAll(async () => {
  const database = await testDatabase()
  drop = database.drop
  db = openDb({ url: database.url, log })
})
afterAll(async () => {
  for (const engine of engines) await engine.stop()
  await db.close()
  await drop()
})

const newEngine = (options: Partial<PolicyEngineOptions> = {}): PolicyEngine => {
  const engine = new PolicyEngine({ db, clock, log, ...options })
  engines.push(engine)
  return engine
}
const newTenant = async (work?: (tx: Tx) => Promise<void>): Promise<string> => {
  const id = randomUUID()
  await db.auth(async (tx) => {
    await tx.run(sql`insert into tenants (id, slug, name) values (${id}, ${id}, 'test')`)
  })
  if (work) await db.tenant(id, work)
  return id
}
const deny = (id: string) => `rules: [{id: ${id}, decision: deny}]`
const put = (tenant: string, id: string, content: string, enabled = true) =>
  db.tenant(tenant, (tx) => putDocument(tx, clock.now(), { id, content, enabled }))
const ask = { topic: 'job.a', jobId: 'j' }

describe('documents', () => {
  test('a write keeps what it does not give, and a new document is disabled', async () => {
    const tenant = await newTenant()
    const made = await db.tenant(tenant, (tx) =>
      putDocument(tx, clock.now(), { id: 'secops/a', content: deny('a'), author: 'ann', message: 'first' }),
    )
    expect(made).toMatchObject({
      enabled: false,
      author: 'ann',
      message: 'first',
      createdAt: clock.now(),
      installedAt: null,
    })
    await put(tenant, 'secops/a', deny('a'), true)
    clock.advance(1000)
    const changed = await db.tenant(tenant, (tx) =>
      putDocument(tx, clock.now(), { id: 'secops/a', content: deny('b') }),
    )
    expect(changed).toMatchObject({ enabled: true, author: 'ann', createdAt: made.createdAt, updatedAt: clock.now() })
    expect(changed.sha256).not.toBe(made.sha256)
  })

  test('content that does not parse is refused with the documented words, and nothing changes', async () => {
    const tenant = await newTenant()
    await expect(put(tenant, 'secops/a', 'rules: 5')).rejects.toMatchObject({
      code: 'VAL_SCHEMA',
      message: 'invalid policy content: line 1, column 8: rules: must be a list',
    })
    await expect(put(tenant, 'secops/a', ' \n')).rejects.toMatchObject({ message: 'content required' })
    await expect(db.tenant(tenant, (tx) => getDocument(tx, 'secops/a'))).rejects.toMatchObject({
      code: 'RES_NOT_FOUND',
      message: 'bundle not found',
    })
  })

  test('a tenant sees its own documents alone', async () => {
    const [a, b] = [await newTenant(), await newTenant()]
    await put(a, 'secops/a', deny('a'))
    expect(await db.tenant(b, listDocuments)).toEqual([])
    expect(await db.tenant(b, (tx) => deleteDocument(tx, clock.now(), 'secops/a'))).toBe(false)
    expect(await db.tenant(a, listDocuments)).toHaveLength(1)
  })

  test('the first policy is installed once, by whoever makes the tenant', async () => {
    const tenant = await newTenant()
    await db.auth((tx) => installDefaultPolicy(tx, clock.now(), tenant, { defaultDecision: 'deny' }))
    await db.auth((tx) => installDefaultPolicy(tx, clock.now(), tenant))
    const documents = await db.tenant(tenant, listDocuments)
    expect(documents).toMatchObject([{ id: DEFAULT_POLICY_ID, enabled: true }])
    expect(await newEngine().evaluate(tenant, ask)).toMatchObject({ decision: 'DENY', ruleId: 'default' })
    const other = await newTenant()
    await db.auth((tx) => installDefaultPolicy(tx, clock.now(), other, { content: deny('own') }))
    expect((await newEngine().evaluate(other, ask)).ruleId).toBe('own')
    const refused = db.auth((tx) => installDefaultPolicy(tx, clock.now(), tenant, { content: 'rules: 5' }))
    await expect(refused).rejects.toMatchObject({ code: 'VAL_SCHEMA' })
  })
})

describe('captures, publication, rollback', () => {
  test('publication enables, captures before and after, and a rollback brings the set back', async () => {
    const tenant = await newTenant()
    await put(tenant, 'secops/a', deny('a'), false)
    await put(tenant, 'secops/b', deny('b'), false)
    await put(tenant, 'acme/p', deny('p'), false)
    const published = await db.tenant(tenant, (tx) =>
      publishDocuments(tx, clock.now(), { ids: ['secops/b', 'acme/p', 'secops/z'], author: 'ann', note: 'go' }),
    )
    expect(published.published).toEqual(['secops/b'])
    expect(published.before.id).toMatch(/^2026-01-02T03:04:\d\dZ-[0-9a-f]{10}$/)
    expect(published.before.id).not.toBe(published.after.id)
    const now = async () =>
      (await db.tenant(tenant, listDocuments)).map(({ id, enabled, author }) => `${id} ${enabled} ${author}`)
    expect(await now()).toEqual(['acme/p false ', 'secops/a false ', 'secops/b true ann'])
    await db.tenant(tenant, (tx) => deleteDocument(tx, clock.now(), 'acme/p'))
    clock.advance(1000)
    const back = await db.tenant(tenant, (tx) => rollbackDocuments(tx, clock.now(), { captureId: published.before.id }))
    expect(await now()).toEqual(['acme/p false ', 'secops/a false ', 'secops/b false '])
    expect(back.after.bundles).toEqual(published.before.bundles)
    const captures = await db.tenant(tenant, listCaptures)
    // The copy before and the one after have different times, so that the newest is the one after.
    expect(captures[0]).toMatchObject({ id: back.after.id, createdAt: clock.now() + 1 })
    expect(captures.map(({ id }) => id)).toContain(published.after.id)
  })

  test('without a secops document there is nothing to publish', async () => {
    const tenant = await newTenant()
    const publish = () => db.tenant(tenant, (tx) => publishDocuments(tx, clock.now(), {}))
    await expect(publish()).rejects.toMatchObject({ message: 'no bundles configured' })
    await put(tenant, 'acme/p', deny('p'))
    await expect(publish()).rejects.toMatchObject({ message: 'no policy bundles to publish' })
    await expect(
      db.tenant(tenant, (tx) => rollbackDocuments(tx, clock.now(), { captureId: 'none' })),
    ).rejects.toMatchObject({ code: 'RES_NOT_FOUND', message: 'snapshot not found' })
  })

  test('a set that does not compile is neither published nor half changed', async () => {
    const tenant = await newTenant()
    await put(tenant, 'secops/a', deny('a'), false)
    await db.tenant(tenant, (tx) => tx.run(sql`update policy_documents set content = 'rules: 5'`))
    await expect(db.tenant(tenant, (tx) => publishDocuments(tx, clock.now(), {}))).rejects.toMatchObject({
      code: 'VAL_SCHEMA',
      message: 'invalid policy bundle secops/a: line 1, column 8: rules: must be a list',
    })
    expect(await db.tenant(tenant, listCaptures)).toEqual([])
  })

  test('the newest ten captures are kept', async () => {
    const tenant = await newTenant()
    const made: string[] = []
    for (let count = 0; count < 12; count++) {
      clock.advance(1000)
      made.push((await db.tenant(tenant, (tx) => captureDocuments(tx, clock.now(), `n${count}`))).id)
    }
    const captures = await db.tenant(tenant, listCaptures)
    expect(captures.map(({ id }) => id)).toEqual(made.toReversed().slice(0, 10))
    expect(await db.tenant(tenant, (tx) => getCapture(tx, made[11] ?? ''))).toMatchObject({ note: 'n11', bundles: {} })
  })
})

describe('the engine', () => {
  test('without documents nothing is loaded, and evaluation says so', async () => {
    const tenant = await newTenant()
    const engine = newEngine()
    expect(engine.peek(tenant)).toBeUndefined()
    expect(await engine.evaluate(tenant, ask)).toMatchObject({ decision: 'DENY', reason: 'no policy loaded' })
    expect(engine.peek(tenant)).toMatchObject({ snapshot: undefined, revision: 0 })
  })

  test('a change counts at once for who asks freshly, and for all after changed()', async () => {
    const tenant = await newTenant()
    const engine = newEngine()
    await put(tenant, 'secops/a', deny('one'))
    expect((await engine.evaluate(tenant, ask)).ruleId).toBe('one')
    await put(tenant, 'secops/a', deny('two'))
    expect((await engine.evaluate(tenant, ask)).ruleId).toBe('one')
    const explained = await engine.explain(tenant, ask)
    expect(explained).toMatchObject({ decision: { ruleId: 'two' }, trace: [{ rule_id: 'two', matched: true }] })
    await put(tenant, 'secops/a', deny('three'))
    await engine.changed(tenant)
    expect((await engine.evaluate(tenant, ask)).ruleId).toBe('three')
  })

  test('another replica takes a change up by its nudge', async () => {
    const tenant = await newTenant()
    const wakes: (() => void)[] = []
    const here = newEngine({ wake: () => wakes.forEach((wake) => wake()) })
    const there = newEngine({
      sweepMs: 3_600_000,
      onWake: (wake) => {
        wakes.push(wake)
        return { close: () => {} }
      },
    })
    there.start()
    await put(tenant, 'secops/a', deny('one'))
    expect((await there.evaluate(tenant, ask)).ruleId).toBe('one')
    await put(tenant, 'secops/a', deny('two'))
    await here.changed(tenant)
    await expect.poll(async () => (await there.evaluate(tenant, ask)).ruleId, { timeout: 5000 }).toBe('two')
  })

  test('the sweep finds a change whose nudge was lost', async () => {
    const tenant = await newTenant()
    const engine = newEngine({ sweepMs: 20 })
    await put(tenant, 'secops/a', deny('one'))
    expect((await engine.evaluate(tenant, ask)).ruleId).toBe('one')
    engine.start()
    await db.tenant(tenant, (tx) => deleteDocument(tx, clock.now(), 'secops/a'))
    await expect
      .poll(async () => (await engine.evaluate(tenant, ask)).reason, { timeout: 5000 })
      .toBe('no policy loaded')
  })

  test('documents that do not compile leave the last good policy in force, also after a restart', async () => {
    const tenant = await newTenant()
    const engine = newEngine()
    await put(tenant, 'secops/a', deny('good'))
    expect((await engine.evaluate(tenant, ask)).ruleId).toBe('good')
    await put(tenant, 'acme/p', deny('p'))
    // Written past the check, as another program with access to the database could.
    await db.tenant(tenant, (tx) => tx.run(sql`update policy_documents set content = 'rules: 5' where id = 'acme/p'`))
    for (const replica of [engine, newEngine()]) {
      const loaded = await replica.fresh(tenant)
      expect(loaded.problem).toBe('policy acme/p: line 1, column 8: rules: must be a list')
      expect((await replica.evaluate(tenant, ask)).ruleId).toBe('good')
    }
    await put(tenant, 'acme/p', 'rules: []')
    await engine.changed(tenant)
    expect(engine.peek(tenant)).toMatchObject({ problem: undefined })
  })

  test('what was in force stays readable under the id that decisions name', async () => {
    const tenant = await newTenant()
    const engine = newEngine()
    const ids: string[] = []
    for (const name of ['one', 'two', 'one']) {
      await put(tenant, 'secops/a', deny(name))
      await engine.changed(tenant)
      ids.push((await engine.evaluate(tenant, ask)).snapshot)
    }
    expect(ids[0]).toBe(ids[2])
    expect(await db.tenant(tenant, (tx) => listSnapshotIds(tx))).toEqual([ids[2], ids[1]])
    const then = await db.tenant(tenant, (tx) => snapshotAt(tx, ids[1] ?? ''))
    expect(then?.id).toBe(ids[1])
    expect(await db.tenant(tenant, (tx) => snapshotAt(tx, 'cfg:unknown'))).toBeUndefined()
  })

  test('many first callers load once', async () => {
    const tenant = await newTenant()
    await put(tenant, 'secops/a', deny('one'))
    const engine = newEngine()
    const loaded = await Promise.all(Array.from({ length: 20 }, () => engine.current(tenant)))
    expect(new Set(loaded).size).toBe(1)
  })

  test('concurrent writers of one tenant follow each other, so that no revision is lost', async () => {
    const tenant = await newTenant()
    await Promise.all(Array.from({ length: 10 }, (_, at) => put(tenant, `secops/${at}`, deny(`r${at}`))))
    const loaded = await newEngine().current(tenant)
    expect(loaded.revision).toBe(10)
    expect(loaded.snapshot?.rules).toHaveLength(10)
  })
})
