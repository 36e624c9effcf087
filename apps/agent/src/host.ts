import { readFile } from 'node:fs/promises'
import { arch, cpus, hostname, platform, release, totalmem, uptime, userInfo } from 'node:os'

export interface Host {
  hostname: string
  os: string
  /** As Go names it, which is what the protocol carries. */
  arch: string
  distro?: string
  distroVersion?: string
  kernel: string
  cpuModel?: string
  cpuCount: number
  memoryTotalBytes: number
  bootedAt: string
  user?: string
}

/** The facts of this host that do not change while the agent runs. */
export async function readHost(): Promise<Host> {
  const release_ = parseOsRelease(await readFile('/etc/os-release', 'utf8').catch(() => ''))
  const processors = cpus()
  return {
    hostname: hostname(),
    os: platform() === 'win32' ? 'windows' : platform(),
    arch: { x64: 'amd64', ia32: '386' }[arch() as 'x64' | 'ia32'] ?? arch(),
    distro: release_.ID,
    distroVersion: release_.VERSION_ID,
    kernel: release(),
    cpuModel: processors[0]?.model.trim(),
    cpuCount: processors.length,
    memoryTotalBytes: totalmem(),
    bootedAt: new Date(Date.now() - uptime() * 1000).toISOString(),
    user: userName(),
  }
}

/** `NAME=value` lines, values optionally quoted. */
export function parseOsRelease(content: string): Record<string, string> {
  const lines = content.split('\n').flatMap((line) => {
    const [, key, value] = /^([A-Z_]+)=(?:"(.*)"|'(.*)'|(.*))$/.exec(line)?.filter((part) => part !== undefined) ?? []
    return key && value !== undefined ? [[key, value] as const] : []
  })
  return Object.fromEntries(lines)
}

function userName(): string | undefined {
  try {
    return userInfo().username
  } catch {
    // A container may run under a uid without a name.
    return process.getuid?.().toString()
  }
}
