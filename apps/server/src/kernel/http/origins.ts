import type { IncomingHttpHeaders } from 'node:http'
import { Fault } from '@wheelhouse/contract'

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]', '::1'])

/** Which browser origins may call: configured ones, our own host, and loopback where nothing is configured (decisions D8). */
export interface Origins {
  allows(origin: string, host: string | undefined): boolean
}

export function openOrigins(configured: readonly string[]): Origins {
  const exact = new Set(configured)
  return {
    allows(origin, host) {
      if (exact.has('*') || exact.has(origin)) return true
      let url: URL
      try {
        url = new URL(origin)
      } catch {
        return false
      }
      if (host !== undefined && url.host === host) return true
      return exact.size === 0 && LOOPBACK.has(url.hostname)
    },
  }
}

/** A cookie travels by itself, so an unsafe request that rests on one must say that it comes from us (decisions D8). */
export function refuseForgery(headers: IncomingHttpHeaders, origins: Origins): void {
  const { origin } = headers
  if (origin === undefined ? headers['sec-fetch-site'] === 'same-origin' : origins.allows(origin, headers.host)) return
  throw new Fault('PERM_CSRF')
}
