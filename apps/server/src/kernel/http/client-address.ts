import { BlockList, isIPv4, isIPv6 } from 'node:net'

/** Who the caller is on the network: the socket's peer, or what trusted proxies in front of us say (decisions D8). */
export function clientAddress(
  trusted: readonly string[],
): (peer: string, forwarded: string | string[] | undefined, realIp?: string | string[]) => string {
  const proxies = new BlockList()
  for (const entry of trusted) {
    const [address = '', prefix] = entry.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (prefix === undefined) proxies.addAddress(address, family)
    else proxies.addSubnet(address, Number(prefix), family)
  }
  const plain = (address: string): string => (address.startsWith('::ffff:') ? address.slice(7) : address)
  const isTrusted = (address: string): boolean =>
    (isIPv4(address) || isIPv6(address)) && proxies.check(address, isIPv4(address) ? 'ipv4' : 'ipv6')

  return (peer, forwarded, realIp) => {
    const socket = plain(peer)
    if (trusted.length === 0 || !isTrusted(socket)) return socket
    const hops = String(forwarded ?? '')
      .split(',')
      .map((hop) => plain(hop.trim()))
      .filter(Boolean)
    const real = plain(String(realIp ?? '').trim())
    return hops.findLast((hop) => !isTrusted(hop)) ?? (isIPv4(real) || isIPv6(real) ? real : socket)
  }
}
