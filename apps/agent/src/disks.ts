import { stat, statfs } from 'node:fs/promises'
import type { AgentPayload } from '@wheelhouse/sdk/agent-protocol'
import { readProc } from './proc.ts'

type Disk = NonNullable<AgentPayload<'metrics'>['disk']>[number]

interface Mount {
  device: string
  mountPoint: string
  fsType: string
}

const LOCAL = new Set(
  'ext2 ext3 ext4 xfs btrfs zfs f2fs jfs reiserfs bcachefs vfat exfat ntfs ntfs3 fuseblk hfsplus ufs apfs virtiofs 9p overlay'.split(
    ' ',
  ),
)

/** The local file systems, each once however often it is mounted; null when none can be read. Network mounts may hang and are left out. */
export async function readDisks(): Promise<Disk[] | null> {
  const mounts = await readProc('self/mounts')
  const candidates = mounts === undefined ? [{ device: '/', mountPoint: '/', fsType: 'unknown' }] : parseMounts(mounts)
  const disks: Disk[] = []
  const seen = new Set<string>()
  for (const { device, mountPoint, fsType } of candidates) {
    try {
      // The device's name catches subvolumes, which have device numbers of their own; the number catches bind mounts.
      const { dev } = await stat(mountPoint)
      const names = [`${dev}`, ...(device.startsWith('/dev/') ? [device] : [])]
      if (names.some((name) => seen.has(name))) continue
      for (const name of names) seen.add(name)
      const { bsize, blocks, bfree, bavail } = await statfs(mountPoint)
      if (blocks === 0) continue
      const used = (blocks - bfree) * bsize
      disks.push({
        mount_point: mountPoint,
        device,
        fs_type: fsType,
        total_bytes: blocks * bsize,
        used_bytes: used,
        free_bytes: bavail * bsize,
        // As df reckons: of what an ordinary user could use.
        usage_percent: Math.round((used / Math.max(1, used + bavail * bsize)) * 10_000) / 100,
      })
    } catch {
      // Unmounted meanwhile, or not ours to look at.
    }
  }
  return disks.length > 0 ? disks : null
}

/** Mounts of local file systems, shortest path first. Of overlays only the root counts: the others are containers on the same disk. */
export function parseMounts(mounts: string): Mount[] {
  return mounts
    .split('\n')
    .map((line) => line.split(' '))
    .filter((columns) => columns.length >= 3)
    .map(([device = '', mountPoint = '', fsType = '']) => ({
      device: unescape_(device),
      mountPoint: unescape_(mountPoint),
      fsType,
    }))
    .filter(({ fsType, mountPoint }) => LOCAL.has(fsType) && (fsType !== 'overlay' || mountPoint === '/'))
    .toSorted((a, b) => a.mountPoint.length - b.mountPoint.length)
}

// The kernel writes blanks and backslashes of a path as three octal digits.
function unescape_(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
}
