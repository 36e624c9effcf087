import { fleet } from '@wheelhouse/contract/fleet/index'
import { serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { SERVER_VERSION } from '../version/server-version.ts'

type Check = { status: 'ok'; latencyMs: number } | { status: 'error'; error: string }

/** fleet.md §2, Health. Error texts are fixed, so that nothing of the inside leaks. */
export const routes = ({ db, bus }: Kernel) =>
  serve('fleet', fleet.health, {
    async health({ request, reply }) {
      const started = performance.now()
      // The place of the document's Redis (fan-out, tickets, liveness) is taken by the bus; the member keeps its documented name.
      const [database, redis] = await Promise.all([
        check('Database unreachable', () => db.ping()),
        check('Redis unreachable', async () => {
          const asked = performance.now()
          if (bus.status().state !== 'CONNECTED') throw new Error('the bus is away')
          return performance.now() - asked
        }),
      ])
      const healthy = database.status === 'ok' && redis.status === 'ok'
      if (!healthy) reply.status(503)
      reply.header('Cache-Control', 'no-store')
      // decisions D8: callers that understand text alone get the word.
      const accepts = request.header('accept') ?? ''
      if (accepts.includes('text/plain') && !accepts.includes('json'))
        return { body: healthy ? 'ok' : 'degraded', contentType: 'text/plain; charset=utf-8' }
      return {
        body: JSON.stringify({
          status: healthy ? 'ok' : 'degraded',
          version: SERVER_VERSION,
          uptime: Math.round(process.uptime()),
          totalLatencyMs: round(performance.now() - started),
          checks: { database, redis },
        }),
        contentType: 'application/json; charset=utf-8',
      }
    },
  })

const round = (ms: number): number => Math.round(ms * 100) / 100

async function check(error: string, probe: () => Promise<number>): Promise<Check> {
  return probe().then(
    (latencyMs): Check => ({ status: 'ok', latencyMs: round(latencyMs) }),
    (): Check => ({ status: 'error', error }),
  )
}
