import { fleetDialect, fleetRoutes, fleetTasks } from './fleet/index.ts'
import { jobsDialect, jobsRoutes } from './jobs/index.ts'
import {
  type Bound,
  buildHttp,
  type HttpOptions,
  type HttpServer,
  nativeDialect,
  openLimits,
  openOrigins,
  openWatch,
} from './kernel/http/index.ts'
import { declaredFor } from './kernel/identity/index.ts'
import type { Kernel } from './kernel/kernel.ts'
import { countRequests } from './kernel/metrics/index.ts'
import { traceRequests } from './kernel/traces/index.ts'
import { nativeRoutes } from './native/index.ts'
import { platformDialect, platformRoutes } from './platform/index.ts'
import { releaseDialect, releaseRoutes, releaseTasks } from './release/index.ts'

export { openGrpc } from './jobs/index.ts'

/** Every endpoint with its handler. */
export const allRoutes = (kernel: Kernel): Bound[] => [
  ...platformRoutes(kernel),
  ...fleetRoutes(kernel),
  ...releaseRoutes(kernel),
  ...jobsRoutes(kernel),
  ...nativeRoutes(kernel),
]

/** Begins the work of the kernel and what the domains repeat; after `composeHttp`, which registers verbs and sinks. */
export async function startKernel(kernel: Kernel): Promise<void> {
  for (const task of [...fleetTasks(kernel), ...releaseTasks(kernel)]) await kernel.schedule.add(task)
  await kernel.start()
}

/** The HTTP server of all surfaces on an open kernel. `checkReplies` holds each reply against its declaration. */
export function composeHttp(
  kernel: Kernel,
  options: { checkReplies: boolean; fallback?: HttpOptions['fallback'] },
): HttpServer {
  const { config, clock, log, db, vault, authenticator, tokens } = kernel
  const watch = openWatch(authenticator, log)
  kernel.identity.onChanged(() => watch.look())
  const http = buildHttp({
    edge: {
      watch,
      gate: {
        db,
        clock,
        authenticator,
        tokens,
        actFor: (principal, named) => declaredFor(db, kernel.identity.rules, principal, named),
      },
      vault,
      clock,
      log,
      limits: openLimits(clock, config.rateLimits.scale, {
        rates: {
          'jobs-tenant': { limit: config.rateLimits.jobsPerSecond, burst: config.rateLimits.jobsBurst },
          'jobs-public': { limit: config.rateLimits.jobsPublicPerSecond, burst: config.rateLimits.jobsPublicBurst },
        },
        ...(kernel.redis ? { redis: kernel.redis } : {}),
      }),
      origins: openOrigins(config.cors.origins),
      dialects: {
        platform: platformDialect,
        fleet: fleetDialect,
        release: releaseDialect,
        jobs: jobsDialect,
        native: nativeDialect,
      },
      cursorSecret: kernel.derivedKey('list cursors'),
      checkReplies: options.checkReplies,
      secureCookies: config.tls.cert !== undefined || config.publicUrl?.startsWith('https:') === true,
      premium: () => config.rateLimits.releaseTier === 'premium',
    },
    bound: allRoutes(kernel),
    trustedProxies: config.trustedProxies,
    bodyLimitBytes: config.bodyLimits.defaultBytes,
    ...(options.fallback ? { fallback: options.fallback } : {}),
  })
  countRequests(http.app, kernel.metrics)
  traceRequests(http.app, kernel.tracer, clock)
  return http
}
