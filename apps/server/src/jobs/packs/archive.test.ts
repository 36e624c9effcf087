import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { type BundleEntry, bundleOf, sha256Of } from '../../testing/pack-bundle.ts'
import { readBundle } from './archive.ts'

const MANIFEST = { 'pack.yaml': 'metadata: {id: a, version: "1"}' }

describe('a bundle', () => {
  test('is read at its root or in its one folder', async () => {
    const flat = await readBundle(await bundleOf({ ...MANIFEST, './x/y.json': '{}' }))
    expect(flat.read('x/y.json').toString()).toBe('{}')
    expect(flat.read('./x//y.json').toString()).toBe('{}')
    const nested = await readBundle(await bundleOf({ 'top/pack.yml': 'a: 1', 'top/x.json': '1' }))
    expect(nested.manifest.toString()).toBe('a: 1')
    expect(nested.read('x.json').toString()).toBe('1')
    // The folder's name is no part of what is signed.
    expect(nested.contentSha256).toBe(
      (await readBundle(await bundleOf({ 'pack.yml': 'a: 1', 'x.json': '1' }))).contentSha256,
    )
  })

  test('knows its hash, and that of its content apart from the signature in it', async () => {
    const bytes = await bundleOf({ ...MANIFEST, b: '2', a: '1', 'pack.sig': 'sig' })
    const read = await readBundle(bytes)
    expect(read.sha256).toBe(sha256Of(bytes))
    const lines = [
      ['a', '1'],
      ['b', '2'],
      ['pack.yaml', MANIFEST['pack.yaml']],
    ]
    expect(read.contentSha256).toBe(sha256Of(lines.map(([path, text = '']) => `${sha256Of(text)}  ${path}\n`).join('')))
    expect(read.signature?.toString()).toBe('sig')
  })

  test('keeps what is too large to be a definition only as a hash', async () => {
    const read = await readBundle(await bundleOf({ ...MANIFEST, 'deploy/image.bin': Buffer.alloc(2 * 1024 * 1024) }))
    expect(() => read.read('deploy/image.bin')).toThrow('is larger than 1048576 bytes')
    expect(() => read.read('nothing')).toThrow('it has no file nothing')
  })
})

describe('hostile bundles are refused', () => {
  const manifest: BundleEntry = { name: 'pack.yaml', content: MANIFEST['pack.yaml'] }
  test.each<[string, readonly BundleEntry[], string]>([
    ['a path that climbs out', [manifest, { name: '../evil.yaml', content: 'x' }], 'not inside the bundle'],
    ['a path that climbs out from within', [manifest, { name: 'a/../../evil', content: 'x' }], 'not inside the bundle'],
    ['an absolute path', [manifest, { name: '/etc/passwd', content: 'x' }], 'not inside the bundle'],
    ['a path with a backslash', [manifest, { name: 'a\\..\\b', content: 'x' }], 'not inside the bundle'],
    ['a drive letter', [manifest, { name: 'C:/x', content: 'x' }], 'not inside the bundle'],
    ['a control character in a path', [manifest, { name: 'a\u0001b', content: 'x' }], 'not inside the bundle'],
    ['a symbolic link', [manifest, { name: 'x', type: 'symlink', linkname: '/etc/passwd' }], 'is a symlink'],
    ['a hard link', [manifest, { name: 'x', type: 'link', linkname: 'pack.yaml' }], 'is a link'],
    ['a device', [manifest, { name: 'x', type: 'character-device' }], 'is a character-device'],
    ['a pipe', [manifest, { name: 'x', type: 'fifo' }], 'is a fifo'],
    ['the same path twice', [manifest, { ...manifest, content: 'other' }], 'twice'],
    ['the same path twice in disguise', [manifest, { ...manifest, name: './/pack.yaml' }], 'twice'],
    ['no manifest', [{ name: 'a.yaml', content: 'x' }], 'pack.yaml not found'],
    [
      'a manifest in one of two folders',
      [
        { ...manifest, name: 'a/pack.yaml' },
        { name: 'b/x', content: '' },
      ],
      'pack.yaml not found',
    ],
  ])('%s', async (_, entries, words) => {
    await expect(readBundle(await bundleOf(entries))).rejects.toMatchObject({
      code: 'VAL_SCHEMA',
      message: expect.stringContaining(words),
    })
  })

  test('too many files', async () => {
    const files = Object.fromEntries(Array.from({ length: 2048 }, (_, n) => [`f${n}`, '']))
    await expect(readBundle(await bundleOf({ ...MANIFEST, ...files }))).rejects.toThrow('more than 2048 files')
  })

  test('a file that is too large, and one whose header only says so', async () => {
    const large = { ...MANIFEST, big: Buffer.alloc(33 * 1024 * 1024) }
    await expect(readBundle(await bundleOf(large))).rejects.toThrow('"big" is larger than')
  })

  test('a bomb: small as it travels, large when it unpacks', async () => {
    const files = Object.fromEntries(Array.from({ length: 9 }, (_, n) => [`f${n}`, Buffer.alloc(30 * 1024 * 1024)]))
    const bytes = await bundleOf({ ...MANIFEST, ...files })
    expect(bytes.length).toBeLessThan(1024 * 1024)
    await expect(readBundle(bytes)).rejects.toThrow('unpacks to more than')
    // Zeros without end are no tar archive of any size.
    await expect(readBundle(gzipSync(Buffer.alloc(300 * 1024 * 1024)))).rejects.toThrow('invalid pack bundle')
  }, 30_000)

  test.each<[string, () => Buffer | Promise<Buffer>]>([
    ['no archive at all', () => Buffer.from('hello')],
    ['nothing', () => Buffer.alloc(0)],
    ['compressed text', () => gzipSync('hello hello hello')],
    ['an archive that ends early', async () => (await bundleOf(MANIFEST)).subarray(0, 60)],
    [
      'an archive that was cut before it was compressed',
      async () => {
        const { gunzipSync } = await import('node:zlib')
        return gzipSync(gunzipSync(await bundleOf({ ...MANIFEST, x: 'y'.repeat(5000) })).subarray(0, 1700))
      },
    ],
  ])('%s', async (_, bytes) => {
    await expect(readBundle(await bytes())).rejects.toMatchObject({
      code: 'VAL_SCHEMA',
      message: expect.stringContaining('invalid pack bundle'),
    })
  })

  test('a refused bundle does not keep the next one waiting', async () => {
    const answers = await Promise.allSettled([
      readBundle(Buffer.from('x')),
      readBundle(await bundleOf(MANIFEST)),
      readBundle(Buffer.from('x')),
    ])
    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected'])
  })
})
