import { BlockList, isIP, isIPv6 } from 'node:net'

/** Addresses that are nobody's on the public internet: this machine, private networks, links, metadata services, reserved blocks. */
const CLOSED_V4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['168.63.129.16', 32], // a cloud's metadata service on a public address
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
]

/** Within the one block of IPv6 that is routed publicly: tunnels that carry IPv4 addresses, documentation, benchmarks. */
const CLOSED_V6: readonly (readonly [string, number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
]

const closed = new BlockList()
for (const [net, prefix] of CLOSED_V4) closed.addSubnet(net, prefix, 'ipv4')
for (const [net, prefix] of CLOSED_V6) closed.addSubnet(net, prefix, 'ipv6')
const publicV6 = new BlockList()
publicV6.addSubnet('2000::', 3, 'ipv6')

/** An IPv4 address that is written as an IPv6 one, as itself. */
function plain(address: string): string {
  const bare = address.replace(/%.*$/, '')
  if (!isIPv6(bare)) return bare
  // The URL parser writes every form of an address the same way.
  const canonical = new URL(`http://[${bare}]/`).hostname.slice(1, -1)
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical)
  if (!mapped) return canonical
  const [high, low] = [Number.parseInt(mapped[1] ?? '0', 16), Number.parseInt(mapped[2] ?? '0', 16)]
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}

/** Whether an address is one that anybody on the internet could be asked at. */
export function isPublic(address: string): boolean {
  const own = plain(address)
  if (isIPv6(own)) return publicV6.check(own, 'ipv6') && !closed.check(own, 'ipv6')
  return isIP(own) === 4 && !closed.check(own, 'ipv4')
}

/** What a caller wants to reach. */
export interface Reach {
  host: string
  address: string
}

/** Who, beyond the public internet, may be called. */
export interface AddressRules {
  allows(reach: Reach): boolean
  /** A local socket is reached only when its path is named. */
  allowsSocket(path: string): boolean
}

/**
 * Reads a list of exceptions: host names (`*.` before one means all below it), addresses, CIDR ranges, and `unix:///path` sockets.
 * What cannot be read allows nothing.
 */
export function addressRules(entries: readonly string[]): AddressRules {
  const ranges = new BlockList()
  const hosts = new Set<string>()
  const suffixes: string[] = []
  const sockets = new Set<string>()
  for (const entry of entries.map((each) => each.trim().toLowerCase())) {
    const [net = '', prefix] = entry.split('/')
    if (entry.startsWith('unix://')) sockets.add(entry.slice('unix://'.length))
    else if (isIP(net) !== 0) addRange(ranges, net, prefix)
    else if (entry.startsWith('*.')) suffixes.push(entry.slice(1))
    else if (entry !== '') hosts.add(entry)
  }
  return {
    allows({ host, address }) {
      const name = host.toLowerCase().replace(/\.$/, '')
      if (hosts.has(name) || suffixes.some((suffix) => name.endsWith(suffix))) return true
      const own = plain(address)
      return ranges.check(own, isIPv6(own) ? 'ipv6' : 'ipv4')
    },
    allowsSocket: (path) => sockets.has(path.toLowerCase()),
  }
}

function addRange(ranges: BlockList, net: string, prefix: string | undefined): void {
  const family = isIPv6(net) ? 'ipv6' : 'ipv4'
  const width = family === 'ipv6' ? 128 : 32
  const bits = prefix === undefined ? width : Number(prefix)
  if (Number.isInteger(bits) && bits >= 0 && bits <= width) ranges.addSubnet(net, bits, family)
}
