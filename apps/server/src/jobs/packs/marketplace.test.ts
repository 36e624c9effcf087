import { generateKeyPairSync, sign } from 'node:crypto'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { bundleOf, sha256Of } from '../../testing/pack-bundle.ts'
import { openWorld, type World } from '../../testing/world.ts'
import { compareVersions } from './catalog-file.ts'

let world: World
let server: Server
let base: string
/** What the outside answers, by path; and what it was asked. */
const pages = new Map<string, (response: ServerResponse) => void>()
const asked: string[] = []

beforeAll(async () => {
  world = await openWorld({ movableClock: true })
  server = createServer((request, response) => {
    const path = request.url ?? ''
    asked.push(path)
    const page = pages.get(path)
    if (page) page(response)
    else response.writeHead(404).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(async () => {
  await world.close()
  await new Promise((resolve) => server.close(resolve))
})
beforeEach(() => {
  pages.clear()
  asked.length = 0
  world.clock?.advance(60_000)
})

const list = async (as = world.a.keys.viewer) => (await world.call('GET', '/api/v1/marketplace/packs', { as })).body
const install = (body: object) => world.call('POST', '/api/v1/marketplace/install', { body })
const catalogs = (entries: object[]) =>
  world.call('POST', '/api/v1/config', {
    body: { scope: 'system', scope_id: 'pack_catalogs', data: { catalogs: entries } },
  })
const serve = (path: string, body: string | Buffer) => pages.set(path, (response) => response.end(body))
const catalog = (path: string, packs: object[]) =>
  serve(path, JSON.stringify({ updated_at: '2026-01-01T00:00:00Z', packs }))
const bundle = (id: string, version: string) =>
  bundleOf({ 'pack.yaml': JSON.stringify({ metadata: { id, version }, compatibility: { protocolVersion: 1 } }) })

describe('the list', () => {
  test('without catalogues nothing is called', async () => {
    expect(await list()).toEqual({ catalogs: [], items: [], cached: false })
    expect(asked).toEqual([])
  })

  test('shows the highest version of each pack, what is installed, and which catalogue fails', async () => {
    catalog('/one.json', [
      { id: 'b', version: '1.9.0', url: `${base}/b-1.9.tgz`, sha256: 'AA', title: 'B', capabilities: ['x'], odd: 1 },
      { id: 'b', version: '1.10.0', url: `${base}/b.tgz`, sha256: 'bb' },
      { id: 'incomplete', version: '1.0.0', url: 'x' },
    ])
    catalog('/two.json', [{ id: 'a', version: 'v2', url: `${base}/a.tgz`, sha256: 'cc' }])
    serve('/broken.json', 'no json')
    serve('/other.json', '[]')
    await catalogs([
      { id: 'one', title: 'One', url: `${base}/one.json` },
      { id: 'two', title: 'Two', url: `${base}/two.json` },
      { id: 'off', title: 'Off', url: `${base}/off.json`, enabled: false },
      { id: 'broken', title: 'Broken', url: `${base}/broken.json` },
      { id: 'other', title: 'Other', url: `${base}/other.json` },
      { id: 'gone', title: 'Gone', url: `${base}/gone.json` },
    ])
    const first = await list()
    expect(first.items).toEqual([
      { id: 'a', version: 'v2', url: `${base}/a.tgz`, sha256: 'cc', catalog_id: 'two', catalog_title: 'Two' },
      { id: 'b', version: '1.10.0', url: `${base}/b.tgz`, sha256: 'bb', catalog_id: 'one', catalog_title: 'One' },
    ])
    expect(first.catalogs).toMatchObject([
      { id: 'one', enabled: true, updated_at: '2026-01-01T00:00:00Z' },
      { id: 'two' },
      { id: 'off', enabled: false },
      { id: 'broken', error: expect.stringContaining('JSON') },
      { id: 'other', error: expect.stringContaining('no catalogue') },
      { id: 'gone', error: 'answered 404' },
    ])
    expect(first.cached).toBe(false)
    expect(asked).not.toContain('/off.json')

    const calls = asked.length
    expect(await list()).toMatchObject({ cached: true, items: first.items })
    expect(asked.length).toBe(calls)
    world.clock?.advance(30_000)
    expect((await list()).cached).toBe(false)
    expect(asked.length).toBeGreaterThan(calls)
    expect(await list(world.b.keys.viewer)).toMatchObject({ catalogs: [], items: [] })
  })

  test.each([
    ['1.10.0', '1.9.9', 1],
    ['v2', '1.99', 1],
    ['1.0', '1.0.0', 0],
    ['1.0.0-rc1', '1.0.0', 1],
    ['a', 'b', -1],
  ])('%s against %s', (a, b, order) => {
    expect(Math.sign(compareVersions(a, b))).toBe(order)
  })
})

describe('installation', () => {
  test('by catalogue and id takes the highest version, or the one that is asked for', async () => {
    const [older, newer] = [await bundle('m', '1.0.0'), await bundle('m', '1.1.0')]
    serve('/m1.tgz', older)
    serve('/m2.tgz', newer)
    catalog('/c.json', [
      { id: 'm', version: '1.0.0', url: `${base}/m1.tgz`, sha256: sha256Of(older) },
      { id: 'm', version: '1.1.0', url: `${base}/m2.tgz`, sha256: sha256Of(newer) },
    ])
    await catalogs([{ id: 'c', title: 'C', url: `${base}/c.json` }])
    expect(await install({ catalog_id: 'c', pack_id: 'm', version: '1.0.0' })).toMatchObject({
      status: 200,
      body: { id: 'm', version: '1.0.0', sha256: sha256Of(older), signature: { state: 'unsigned' } },
    })
    // Nobody is trusted, so nobody's signature is asked for.
    expect(asked).not.toContain('/m1.tgz.sig')
    expect((await list()).items[0]).toMatchObject({
      version: '1.1.0',
      installed_version: '1.0.0',
      installed_status: 'INACTIVE',
    })
    expect((await install({ catalog_id: 'c', pack_id: 'm' })).body.error).toContain('rerun with upgrade')
    expect((await install({ catalog_id: 'c', pack_id: 'm', upgrade: true })).body.version).toBe('1.1.0')
    for (const wanted of [
      { catalog_id: 'c', pack_id: 'none' },
      { catalog_id: 'x', pack_id: 'm' },
      { catalog_id: 'c', pack_id: 'm', version: '9' },
    ])
      expect(await install(wanted)).toMatchObject({ status: 404, body: { error: 'marketplace pack not found' } })
    expect((await install({ catalog_id: 'c' })).body.error).toBe('catalog_id and pack_id required')
  })

  test('by url only what a catalogue lists with that hash', async () => {
    const bytes = await bundle('byurl', '1.0.0')
    serve('/u.tgz', bytes)
    serve('/elsewhere.tgz', bytes)
    catalog('/c.json', [{ id: 'byurl', version: '1.0.0', url: `${base}/u.tgz`, sha256: sha256Of(bytes).toUpperCase() }])
    await catalogs([{ id: 'c', title: 'C', url: `${base}/c.json` }])
    const sha256 = sha256Of(bytes)
    expect((await install({ url: `${base}/u.tgz` })).body.error).toBe('sha256 required')
    expect((await install({ url: `${base}/u.tgz`, sha256: 'ff' })).body.error).toBe('sha256 mismatch')
    expect((await install({ url: 'ftp://x/u.tgz', sha256 })).body.error).toBe('unsupported url scheme ftp')
    expect((await install({ url: 'u.tgz', sha256 })).body.error).toBe('download url required')
    expect((await install({ url: `${base}/elsewhere.tgz`, sha256 })).body.error).toContain('not allowed')
    expect(asked.filter((path) => path.endsWith('.tgz'))).toEqual([])
    expect((await install({ url: `${base}/u.tgz`, sha256 })).status).toBe(200)
  })

  test('what comes must be what was listed, from where calls may go, in few hops', async () => {
    const bytes = await bundle('d', '1.0.0')
    const sha256 = sha256Of(bytes)
    const hop = (from: string, to: string) =>
      pages.set(from, (response) => response.writeHead(302, { location: to }).end())
    serve('/good.tgz', bytes)
    serve('/swapped.tgz', await bundle('d', '6.6.6'))
    hop('/moved.tgz', '/good.tgz')
    hop('/round.tgz', '/round.tgz')
    hop('/inside.tgz', 'http://169.254.169.254/latest/meta-data')
    const paths = ['swapped', 'moved', 'round', 'inside', 'missing']
    catalog(
      '/c.json',
      paths.map((name) => ({ id: name, version: '1', url: `${base}/${name}.tgz`, sha256 })),
    )
    await catalogs([{ id: 'c', title: 'C', url: `${base}/c.json` }])
    const error = async (name: string) => (await install({ catalog_id: 'c', pack_id: name })).body.error as string
    expect(await error('swapped')).toBe('sha256 mismatch')
    expect(await error('round')).toMatch(/^download failed: .*too many redirects/)
    expect(await error('inside')).toMatch(/^download failed: .*not on the public internet/)
    expect(await error('missing')).toMatch(/^download failed: .*404/)
    expect((await install({ catalog_id: 'c', pack_id: 'moved' })).status).toBe(200)
  })

  test('an endless download ends at the limit', async () => {
    pages.set('/endless.tgz', (response) => {
      const block = Buffer.alloc(1024 * 1024)
      const pour = (): void => {
        while (!response.destroyed && response.write(block));
        if (!response.destroyed) response.once('drain', pour)
      }
      pour()
    })
    catalog('/c.json', [{ id: 'e', version: '1', url: `${base}/endless.tgz`, sha256: 'aa' }])
    await catalogs([{ id: 'c', title: 'C', url: `${base}/c.json` }])
    expect((await install({ catalog_id: 'c', pack_id: 'e' })).body.error).toBe(
      'pack download exceeds max size (67108864 bytes)',
    )
  }, 30_000)

  test('where signatures are required, the one beside the bundle counts', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519')
    const bytes = await bundle('signed', '1.0.0')
    serve('/s.tgz', bytes)
    catalog('/c.json', [{ id: 'signed', version: '1.0.0', url: `${base}/s.tgz`, sha256: sha256Of(bytes) }])
    await catalogs([{ id: 'c', title: 'C', url: `${base}/c.json` }])
    const data = { keys: [{ id: 'k', publicKey: publicKey.export({ format: 'pem', type: 'spki' }) }], require: true }
    await world.call('POST', '/api/v1/config', { body: { scope: 'system', scope_id: 'pack_trust', data } })
    expect((await install({ catalog_id: 'c', pack_id: 'signed' })).body.error).toContain('signature required')
    serve('/s.tgz.sig', sign(null, Buffer.from(sha256Of(bytes)), privateKey).toString('base64'))
    expect((await install({ catalog_id: 'c', pack_id: 'signed' })).body.signature).toEqual({
      state: 'verified',
      key_id: 'k',
    })
  })
})

test('the installation can name a catalogue for tenants without a list of their own', async () => {
  catalog('/official.json', [])
  const named = await openWorld({
    config: (config) =>
      (config.packs.catalog = { id: 'official', title: 'Ours', url: `${base}/official.json`, disabled: false }),
  })
  try {
    const ask = async () => (await named.call('GET', '/api/v1/marketplace/packs')).body.catalogs
    expect(await ask()).toMatchObject([{ id: 'official', title: 'Ours', enabled: true }])
    await named.call('POST', '/api/v1/config', {
      body: { scope: 'system', scope_id: 'pack_catalogs', data: { catalogs: [] } },
    })
    expect(await ask()).toEqual([])
  } finally {
    await named.close()
  }
})
