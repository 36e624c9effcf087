import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { installFiles, type PackParts, STEP } from '../../testing/pack-files.ts'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const install = (files: Parameters<typeof installFiles>[1], fields?: Record<string, string | Uint8Array>) =>
  installFiles(world, files, fields)

describe('what a pack may bring', () => {
  test.each<[string, Partial<PackParts>, string]>([
    ['a topic of others', { more: { topics: [{ name: 'job.other.a' }] } }, 'must start with job.ns.'],
    ['a schema of others', { schemas: { 'other/A': {} } }, 'must start with ns/'],
    ['a workflow of others', { workflows: { 'other.w': STEP } }, 'must start with ns.'],
    ['a topic of others in pools', { pools: { topics: { 'job.default': 'ns' } } }, 'must start with job.ns.'],
    ['a pool of others', { pools: { topics: { 'job.ns.a': 'elsewhere' } } }, 'a new one must start with ns'],
    ['more than pools in pools', { pools: { topics: {}, timeouts: {} } }, 'does not belong into a pools overlay'],
    [
      'a reconciler',
      { timeouts: { reconciler: { running_timeout_seconds: 1 } } },
      'does not belong into a timeouts overlay',
    ],
    ['timeouts of others', { timeouts: { workflows: { 'other.w': 1 } } }, 'must start with ns.'],
    ['a reserved id', { id: 'secops' }, 'is reserved'],
    ['an id with capitals', { id: 'Ns' }, 'metadata.id'],
    ['another protocol', { more: { compatibility: { protocolVersion: 2 } } }, 'compatibility.protocolVersion'],
    [
      'another key of the configuration',
      { more: { overlays: { config: [{ key: 'safety', path: 'x' }] } } },
      'overlays.config.0.key',
    ],
    [
      'another scope',
      { more: { overlays: { config: [{ key: 'pools', scope: 'team', scope_id: 'x', path: 'x' }] } } },
      'scope system',
    ],
    [
      'a file that is not there',
      { more: { resources: { schemas: [{ id: 'ns/A', path: 'no.json' }] } } },
      'it has no file no.json',
    ],
    [
      'a file outside',
      { more: { resources: { schemas: [{ id: 'ns/A', path: '../../etc/passwd' }] } } },
      'not inside the bundle',
    ],
  ])('not %s', async (_, parts, words) => {
    expect(await install({ id: 'ns', ...parts })).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining(words) },
    })
  })

  test('a core that is too old is refused unless forced', async () => {
    const parts = { id: 'newer', more: { compatibility: { protocolVersion: 1, minCoreVersion: 'v99.0.0-rc1' } } }
    expect(await install(parts)).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining('needs version v99.0.0-rc1') },
    })
    expect((await install(parts, { force: 'yes' })).status).toBe(200)
  })

  test('YAML that multiplies is refused', async () => {
    const lines = ['a: &a [x, x, x, x, x, x, x, x, x]']
    for (let n = 0; n < 8; n++) {
      const name = String.fromCharCode(98 + n)
      lines.push(`${name}: &${name} [${Array.from({ length: 9 }, () => `*${String.fromCharCode(97 + n)}`).join(', ')}]`)
    }
    expect((await install({ 'pack.yaml': lines.join('\n') })).status).toBe(400)
  })
})

test.each([
  [
    'an alias within its own anchor',
    'metadata: &a {id: endless, version: "1", more: *a}\ncompatibility: {protocolVersion: 1}',
  ],
  ['a NUL', 'metadata: {id: nul, version: "1", title: "a\\0b"}\ncompatibility: {protocolVersion: 1}'],
  ['half a character', 'metadata: {id: half, version: "1", title: "a\\uD800b"}\ncompatibility: {protocolVersion: 1}'],
])('a manifest with %s is refused in words', async (_, manifest) => {
  const answer = await install({ 'pack.yaml': manifest })
  expect(answer).toMatchObject({ status: 400, body: { error: expect.stringContaining('pack.yaml') } })
})
