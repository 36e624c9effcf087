import { Fault } from '@wheelhouse/contract'
import { locks as endpoints } from '@wheelhouse/contract/jobs/locks'
import { iso, type Instant } from '../../kernel/clock/index.ts'
import { type Bound, serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import type { Lock, LockMode } from '../../kernel/locks/index.ts'

const bad = (message: string): Fault => new Fault('VAL_SCHEMA', {}, { message })

const shown = (lock: Lock, now: Instant) => ({
  resource: lock.resource,
  mode: lock.mode,
  owners: { ...lock.owners },
  owner: Object.keys(lock.owners).join(','),
  token: lock.token,
  ttl_ms: Math.max(0, lock.expiresAt - now),
  updated_at: iso(lock.updatedAt),
  expires_at: iso(lock.expiresAt),
})

/** What every change names; the dialect leaves it to us to say what is missing. */
function named({ resource = '', owner = '' }: { resource?: string; owner?: string }) {
  if (resource === '' || owner === '') throw bad('resource and owner required')
  return { resource, owner }
}

function modeOf(word = ''): LockMode {
  const mode = word.toLowerCase()
  if (mode === '' || mode === 'exclusive') return 'exclusive'
  if (mode === 'shared') return 'shared'
  throw bad("mode must be 'exclusive' or 'shared'")
}

/** jobs.md §15. */
export const routes = ({ locks }: Kernel): Bound[] =>
  serve('jobs', endpoints, {
    async getLock({ tx, query, now }) {
      if (query.resource === undefined || query.resource === '') throw bad('resource required')
      const lock = await locks.read(tx, query.resource)
      if (!lock) throw new Fault('RES_NOT_FOUND', { resource: query.resource }, { message: 'lock not found' })
      return shown(lock, now)
    },
    async acquireLock({ tx, body, now, audit }) {
      const { resource, owner } = named(body)
      const mode = modeOf(body.mode)
      const lock = await locks.acquire(tx, { resource, owner, mode, ttlMs: body.ttl_ms ?? 0 })
      audit({ resourceId: resource, metadata: { owner, mode: lock.mode, token: lock.token } })
      return shown(lock, now)
    },
    async releaseLock({ tx, body, now, audit }) {
      const { resource, owner } = named(body)
      const lock = await locks.release(tx, { resource, owner })
      audit({ resourceId: resource, metadata: { owner } })
      return { lock: lock ? shown(lock, now) : null, released: true as const }
    },
    async renewLock({ tx, body, now, audit }) {
      const { resource, owner } = named(body)
      const lock = await locks.renew(tx, { resource, owner, ttlMs: body.ttl_ms ?? 0 })
      audit({ resourceId: resource, metadata: { owner, token: lock.token } })
      return shown(lock, now)
    },
  })
