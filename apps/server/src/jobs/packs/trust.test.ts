import { execFileSync } from 'node:child_process'
import { generateKeyPairSync, sign } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bundleOf, installBundle, sha256Of } from '../../testing/pack-bundle.ts'
import { packOf } from '../../testing/pack-files.ts'
import { openWorld, type World } from '../../testing/world.ts'
import { readBundle } from './archive.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const ROOT = join(import.meta.dirname, '../../../../..')

describe('signatures', () => {
  const pair = generateKeyPairSync('ed25519')
  const other = generateKeyPairSync('ed25519')
  const raw = pair.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)
  const signed = (text: string, key = pair.privateKey) => sign(null, Buffer.from(text), key)
  const trust = (data: object) =>
    world.call('POST', '/api/v1/config', { body: { scope: 'system', scope_id: 'pack_trust', data } })

  test('a detached one counts when a trusted key made it for these bytes', async () => {
    const bytes = await bundleOf(packOf({ id: 'sig' }))
    expect((await installBundle(world, bytes)).body.signature).toEqual({ state: 'unsigned' })
    for (const publicKey of [
      raw.toString('base64'),
      raw.toString('hex'),
      pair.publicKey.export({ format: 'pem', type: 'spki' }),
    ]) {
      expect((await trust({ keys: [{ id: 'ours', publicKey }], require: true })).status).toBe(204)
      const signature = signed(sha256Of(bytes))
      for (const form of [signature, signature.toString('base64'), `${signature.toString('hex')}\n`])
        expect((await installBundle(world, bytes, { fields: { signature: form } })).body.signature).toEqual({
          state: 'verified',
          key_id: 'ours',
        })
    }
    expect((await installBundle(world, bytes)).body.error).toContain('pack signature required')
    for (const wrong of [signed(sha256Of('other')), signed(sha256Of(bytes), other.privateKey), Buffer.from('nonsense')])
      expect((await installBundle(world, bytes, { fields: { signature: wrong } })).body.error).toContain('not trusted')
  })

  test('one in the bundle covers all its other files', async () => {
    const files = packOf({ id: 'sig', schemas: { 'sig/A': {} } })
    const { contentSha256 } = await readBundle(await bundleOf(files))
    const bytes = await bundleOf({ ...files, 'pack.sig': signed(contentSha256).toString('base64') })
    expect((await installBundle(world, bytes)).body.signature).toEqual({ state: 'verified', key_id: 'ours' })
    const changed = await bundleOf({
      ...files,
      'schemas/0.json': '{"type":"string"}',
      'pack.sig': signed(contentSha256),
    })
    expect((await installBundle(world, changed, { fields: { upgrade: '1' } })).body.error).toContain('not trusted')
    await trust({ keys: [{ id: 'ours', publicKey: raw.toString('hex') }], require: false })
    expect((await installBundle(world, changed, { fields: { upgrade: '1' } })).body.signature).toEqual({
      state: 'untrusted',
    })
    await trust({})
  })

  test('the commands of docs/packs.md make a bundle and a signature that count', async () => {
    const [, commands = ''] = /```sh\n([^`]+)```/.exec(readFileSync(join(ROOT, 'docs/packs.md'), 'utf8')) ?? []
    expect(commands).toContain('openssl pkeyutl -sign')
    const folder = mkdtempSync(join(tmpdir(), 'wh-sign-'))
    try {
      symlinkSync(join(ROOT, 'packs'), join(folder, 'packs'))
      execFileSync('bash', ['-euc', commands], { cwd: folder, stdio: 'pipe' })
      const read = (name: string) => readFileSync(join(folder, name))
      await trust({ require: true, keys: [{ id: 'documented', publicKey: read('pack-key.pub.pem').toString() }] })
      const { body } = await installBundle(world, read('hello.tgz'), { fields: { signature: read('hello.tgz.sig') } })
      expect(body).toMatchObject({ id: 'hello', signature: { state: 'verified', key_id: 'documented' } })
    } finally {
      await trust({})
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
