import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import sirv from 'sirv'
import type { HttpOptions } from './kernel/http/index.ts'

const DIST = fileURLToPath(new URL('../../console/dist/', import.meta.url))

/** What the console's pages may load: only what we serve ourselves (platform.md §19.3). */
const CONTENT_SECURITY_POLICY = [
  "default-src 'self'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "font-src 'self'",
  "connect-src 'self' ws: wss:",
  "worker-src 'self' blob:",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'self'",
].join('; ')

/**
 * Serves the built console: hashed assets for a year, everything else checked each time; a page that is no file is the
 * application's own (its router reads the path). Undefined while the console is not built.
 */
export function consoleFiles(): HttpOptions['fallback'] {
  if (!existsSync(DIST)) return undefined
  const serve = sirv(DIST, {
    single: true,
    etag: true,
    gzip: true,
    brotli: true,
    setHeaders(response, pathname) {
      response.setHeader(
        'Cache-Control',
        pathname.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
      )
      response.setHeader('Content-Security-Policy', CONTENT_SECURITY_POLICY)
    },
  })
  return (request, response) =>
    new Promise((resolve) => {
      response.once('finish', () => resolve(true))
      response.once('close', () => resolve(true))
      serve(request, response, () => resolve(false))
    })
}
