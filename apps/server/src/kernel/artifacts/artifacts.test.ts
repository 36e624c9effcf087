import { mkdtempSync, rmSync } from 'node:fs'
import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openWorld, type World } from '../../testing/world.ts'
import { testClock } from '../clock/index.ts'
import type { Principal } from '../identity/index.ts'
import { type Artifacts, openArtifacts } from './artifacts.ts'

let world: World
let a: Principal
let b: Principal
let artifacts: Artifacts
const clock = testClock()
const folder = mkdtempSync(join(tmpdir(), 'wh-artifacts-'))
const text = (content: string): Buffer => Buffer.from(content)

beforeAll(async () => {
  world = await openWorld()
  a = await world.principal(world.a.keys.admin)
  b = await world.principal(world.b.keys.admin)
  artifacts = openArtifacts({
    db: world.kernel.db,
    clock,
    log: pino({ level: 'silent' }),
    folder,
    maxBytes: 1000,
    lifeMs: { short: 1000, standard: 10_000, audit: 100_000 },
  })
})
afterAll(async () => {
  await world.close()
  rmSync(folder, { recursive: true, force: true })
})

const files = async (): Promise<string[]> =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((each) => each.isFile())
    .map(({ name }) => name)

test('a blob comes back as it was, to its tenant alone', async () => {
  const made = await artifacts.put(a, { content: text('hello'), contentType: 'text/plain', labels: { tenant_id: 'x' } })
  expect(made).toMatchObject({ sizeBytes: 5, retention: 'standard', labels: { tenant_id: a.tenantSlug } })
  const { content } = await artifacts.read(a.tenantId, made.id)
  expect(content.toString()).toBe('hello')
  await expect(artifacts.read(b.tenantId, made.id)).rejects.toMatchObject({ status: 404 })
})

test('what is too large for the installation or the caller is refused', async () => {
  await expect(artifacts.put(a, { content: Buffer.alloc(1001) })).rejects.toMatchObject({ status: 413 })
  await expect(artifacts.put(a, { content: text('four'), maxBytes: 3 })).rejects.toMatchObject({ status: 413 })
})

test('equal content is stored once, and goes with the last that names it', async () => {
  const before = (await files()).length
  const one = await artifacts.put(a, { content: text('same'), retention: 'short' })
  const two = await artifacts.put(a, { content: text('same'), retention: 'standard' })
  expect((await files()).length).toBe(before + 1)
  clock.advance(2000)
  expect(await artifacts.sweep()).toBe(1)
  await expect(artifacts.read(a.tenantId, one.id)).rejects.toMatchObject({ status: 404 })
  expect((await artifacts.read(a.tenantId, two.id)).content.toString()).toBe('same')
  clock.advance(20_000)
  expect(await artifacts.sweep()).toBeGreaterThan(0)
  await expect.poll(async () => (await files()).includes(two.sha256)).toBe(false)
})

test('a file that was changed on disk is not handed out', async () => {
  const made = await artifacts.put(a, { content: text('honest') })
  await writeFile(join(folder, a.tenantId, made.sha256.slice(0, 2), made.sha256), 'forged')
  await expect(artifacts.read(a.tenantId, made.id)).rejects.toThrow('damaged')
})

test('what a dead process left behind is removed once it is old; what a row names stays', async () => {
  const made = await artifacts.put(a, { content: text('named'), retention: 'audit' })
  const parent = join(folder, a.tenantId, 'ab')
  await mkdir(parent, { recursive: true })
  const orphan = `ab${'0'.repeat(62)}`
  await writeFile(join(parent, orphan), 'orphan')
  await writeFile(join(parent, `.${orphan}.half`), 'ha')
  const signal = new AbortController().signal
  const past = new Date(clock.now() - 4_000_000)
  expect(await artifacts.sweepOrphans(signal)).toBe(0)
  for (const path of [join(parent, orphan), join(parent, `.${orphan}.half`)]) await utimes(path, past, past)
  await utimes(join(folder, a.tenantId, made.sha256.slice(0, 2), made.sha256), past, past)
  expect(await artifacts.sweepOrphans(signal)).toBe(1)
  const left = await files()
  expect(left).not.toContain(orphan)
  expect(left).not.toContain(`.${orphan}.half`)
  expect((await artifacts.read(a.tenantId, made.id)).content.toString()).toBe('named')
})
