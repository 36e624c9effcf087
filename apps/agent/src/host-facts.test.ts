import { describe, expect, test } from 'vitest'
import { inFrames } from './chunks.ts'
import { parseMounts } from './disks.ts'
import { parseOsRelease } from './host.ts'
import { parseApk, parseDistribution, parseDpkg, parseRpm } from './inventory.ts'
import { apiUrl, retryDelay, socketUrl } from './link.ts'
import { describeLine } from './log-line.ts'
import { parseCpuTimes, parseDiskIo, parseMemory, parseNetwork } from './metrics.ts'
import { parseStat } from './proc.ts'
import { splitLines } from './tail.ts'

describe('/proc', () => {
  test('a process may call itself anything', () => {
    const fields = ['S', 1, 7, 7, 0, -1, 0, 0, 0, 0, 0, 30, 12, 0, 0, 20, 0, 3, 0, 4711, 0].join(' ')
    expect(parseStat(`42 (a) R 1 (b) ${fields}`)).toEqual({
      pid: 42,
      name: 'a) R 1 (b',
      state: 'S',
      ppid: 1,
      group: 7,
      session: 7,
      ticks: 42,
      threads: 3,
      started: 4711,
    })
  })

  test('guest time is not counted twice, waiting for disks is idle', () => {
    const [all, first] = parseCpuTimes('cpu  10 0 10 70 10 0 0 5 9 9\ncpu0 1 1 1 1 1 1 1 1 0 0\nintr 5\n')
    expect(all).toEqual({ total: 105, idle: 80, steal: 5 })
    expect(first).toEqual({ total: 8, idle: 2, steal: 1 })
  })

  test('memory that the kernel could give away is not used', () => {
    const memory = parseMemory(
      'MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 600 kB\nCached: 400 kB\nSwapTotal: 50 kB\nSwapFree: 20 kB\n',
    )
    expect(memory).toMatchObject({
      total_bytes: 1_024_000,
      used_bytes: 409_600,
      usage_percent: 40,
      swap_used_bytes: 30_720,
    })
  })

  test('the loopback does not count as network', () => {
    const dev = 'head\n lo: 9 9 0 0 0 0 0 0 9 9\n eth0:100 2 0 0 0 0 0 0 300 4 0\n wlan0: 1 1 0 0 0 0 0 0 1 1\n'
    expect(parseNetwork(dev)).toEqual({ bytes_recv: 101, packets_recv: 3, bytes_sent: 301, packets_sent: 5 })
  })

  test('partitions do not count beside their disk', () => {
    const stats = '8 0 sda 1 0 10 0 1 0 20 0\n8 1 sda1 1 0 10 0 1 0 20 0\n7 0 loop0 1 0 99 0 1 0 99 0\n'
    expect(parseDiskIo(stats, new Set(['sda', 'loop0']))).toEqual({ read_bytes: 5120, written_bytes: 10_240 })
  })

  test('of the mounts only local file systems remain, the shortest path first', () => {
    const mounts = [
      '/dev/sda1 /var/lib/x\\040y ext4 rw 0 0',
      'proc /proc proc rw 0 0',
      'overlay / overlay rw 0 0',
      'overlay /var/lib/docker/overlay2/1/merged overlay rw 0 0',
      'server:/export /mnt nfs4 rw 0 0',
    ].join('\n')
    expect(parseMounts(mounts).map(({ mountPoint }) => mountPoint)).toEqual(['/', '/var/lib/x y'])
  })
})

describe('packages', () => {
  test('dpkg: only what is installed, with its source', () => {
    const status = [
      'Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nSource: glibc (2.36-9)\nVersion: 2.36-9+deb12u4\nDescription: x\n more: y',
      'Package: gone\nStatus: deinstall ok config-files\nVersion: 1',
    ].join('\n\n')
    expect(parseDpkg(status)).toEqual([
      { type: 'deb', name: 'libc6', version: '2.36-9+deb12u4', arch: 'amd64', source: 'glibc' },
    ])
  })

  test('apk', () => {
    expect(parseApk('C:Q1x\nP:musl\nV:1.2.4-r2\nA:x86_64\no:musl\nL:MIT\n\nP:zlib\nV:1.3\n')).toEqual([
      { type: 'apk', name: 'musl', version: '1.2.4-r2', arch: 'x86_64', source: 'musl', license: 'MIT' },
      { type: 'apk', name: 'zlib', version: '1.3' },
    ])
  })

  test('rpm: an epoch of nothing is left out', () => {
    const output = 'bash\t0:5.2-1.fc40\tx86_64\tbash-5.2-1.fc40.src.rpm\tGPL\nvim\t2:9.1-1\tnoarch\t(none)\tVim\n'
    expect(parseRpm(output)).toEqual([
      { type: 'rpm', name: 'bash', version: '5.2-1.fc40', arch: 'x86_64', source: 'bash', license: 'GPL' },
      { type: 'rpm', name: 'vim', version: '2:9.1-1', arch: 'noarch', license: 'Vim' },
    ])
  })

  test('a Python distribution is its head, not its description', () => {
    expect(parseDistribution('Metadata-Version: 2.1\nName: requests\nVersion: 2.31.0\n\nName: wrong\n')).toEqual([
      { type: 'pypi', name: 'requests', version: '2.31.0' },
    ])
    expect(parseDistribution('')).toEqual([])
  })
})

describe('log lines', () => {
  test.each([
    ['kernel: WARNING: something', 'warn'],
    ['{"level":"error","msg":"x"}', 'error'],
    ['[debug] x', 'debug'],
    ['terror in the interior', 'info'],
    [`${'-'.repeat(200)} error`, 'info'],
  ])('%s', (line, level) => expect(describeLine(line).level).toBe(level))

  test('only a time that names its zone is believed', () => {
    const now = Date.UTC(2026, 0, 1)
    expect(describeLine('2026-03-04 05:06:07,890+02:00 hello', now).ts).toBe('2026-03-04T03:06:07.890Z')
    expect(describeLine('2026-03-04 05:06:07 hello', now).ts).toBe('2026-01-01T00:00:00.000Z')
  })

  test('an unfinished line waits, an endless one is cut', () => {
    expect(splitLines(Buffer.from('a\r\n\nb\nhalf'))).toEqual({ lines: ['a', 'b'], bytes: 6 })
    expect(splitLines(Buffer.from('half'))).toEqual({ lines: [], bytes: 0 })
    const endless = splitLines(Buffer.alloc(32 * 1024, 'x'))
    expect(endless.bytes).toBe(32 * 1024)
    expect(endless.lines.map((line) => line.length)).toEqual([10_000, 10_000, 10_000, 2_768])
  })
})

test('waits double up to half a minute and are never less than half of that', () => {
  expect([0, 1, 2, 10, 1000].map((failures) => retryDelay(failures, 1))).toEqual([500, 1000, 2000, 30_000, 30_000])
  expect(retryDelay(0, 0)).toBe(250)
})

test('addresses keep the path under which the server is reached', () => {
  expect(socketUrl(new URL('https://host/fleet/'))).toBe('wss://host/fleet/ws/agent')
  expect(apiUrl(new URL('ws://host:1'), '/api/v1/instances')).toBe('http://host:1/api/v1/instances')
})

test('lists are split so that each part fits, in order and whole', () => {
  const items = Array.from({ length: 100 }, (_, index) => ({ index, text: 'ü'.repeat(20) }))
  const parts = inFrames(items, 1_000)
  expect(parts.flat()).toEqual(items)
  expect(parts.length).toBeGreaterThan(1)
  for (const part of parts) expect(Buffer.byteLength(JSON.stringify(part))).toBeLessThanOrEqual(1_002)
  expect(inFrames([])).toEqual([[]])
})

test('os-release is read with and without quotes', () => {
  expect(parseOsRelease('ID=debian\nVERSION_ID="12"\nNAME=\'x y\'\n# no\n')).toEqual({
    ID: 'debian',
    VERSION_ID: '12',
    NAME: 'x y',
  })
})
