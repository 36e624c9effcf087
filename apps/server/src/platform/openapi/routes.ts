import { createHash } from 'node:crypto'
import { openApi } from '@wheelhouse/contract'
import { platform } from '@wheelhouse/contract/platform/index'
import { stringify } from 'yaml'
import manifest from '../../../package.json' with { type: 'json' }
import { serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { isAdmin } from '../edge-names.ts'

interface Rendered {
  body: string
  contentType: string
  etag: string
}

/** platform.md §12. The document depends on the declarations and on whether an administrator asks: both are made once. */
export const routes = ({ config }: Kernel) => {
  const made = new Map<string, Rendered>()

  function rendered(admin: boolean, format: 'json' | 'yaml'): Rendered {
    const key = `${admin} ${format}`
    const known = made.get(key)
    if (known) return known
    const document = openApi({
      title: `${config.naming.product} API`,
      version: manifest.version,
      surface: 'platform',
      base: '/api/v1',
      show: ({ path }) => admin || !path.startsWith('/api/v1/admin/'),
    })
    const body = format === 'yaml' ? stringify(document) : JSON.stringify(document)
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"`
    const contentType = format === 'yaml' ? 'application/yaml; charset=utf-8' : 'application/json; charset=utf-8'
    const fresh = { body, contentType, etag }
    made.set(key, fresh)
    return fresh
  }

  return serve('platform', platform.openapi, {
    openapi({ principal, query, request, reply }) {
      const { body, contentType, etag } = rendered(isAdmin(principal), query.format ?? 'json')
      reply.header('ETag', etag)
      reply.header('Cache-Control', 'private, no-cache')
      const known = (request.header('if-none-match') ?? '').split(',').map((each) => each.trim())
      if (!known.includes(etag) && !known.includes('*')) return { body, contentType }
      reply.status(304)
      return { body: '', contentType }
    },
  })
}
