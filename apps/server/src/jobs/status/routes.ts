import { jobs } from '@wheelhouse/contract/jobs/index'
import manifest from '../../../package.json' with { type: 'json' }
import { iso, pause } from '../../kernel/clock/index.ts'
import { serve } from '../../kernel/http/index.ts'
import { can } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'

/** jobs.md §4: the store is asked for at most a second. */
const STORE_MS = 1000

/** jobs.md §4. */
export const routes = ({ bus, clock, db, jobs: engine, natsUrls }: Kernel) => {
  async function store(): Promise<{ ok: boolean; error: string }> {
    const late = new AbortController()
    const problem = await Promise.race([
      db.ping().then(
        () => '',
        () => 'the store does not answer',
      ),
      pause(STORE_MS, late.signal).then(
        () => 'the store did not answer within a second',
        () => '',
      ),
    ])
    late.abort()
    return { ok: problem === '', error: problem }
  }

  return serve('jobs', jobs.status, {
    async status({ principal }) {
      const { state } = bus.status()
      const seesInside = can(principal, 'platform:admin') || can(principal, 'config:inspect')
      return {
        time: iso(clock.now()),
        uptime_seconds: Math.floor(process.uptime()),
        build: { version: manifest.version, commit: '', date: '' },
        nats: { connected: state === 'CONNECTED', status: state, url: seesInside ? natsUrls.client : '' },
        redis: await store(),
        workers: { count: engine.workers.count(principal.tenantId) },
      }
    },
  })
}
