import type { Bound } from '../kernel/http/index.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { routes as agents } from './agents/routes.ts'
import { agentSink } from './agents/sink.ts'
import { routes as environments } from './environments/routes.ts'
import { routes as freezeWindows } from './freeze-windows/routes.ts'
import { healthVerb } from './targets/health.ts'
import { routes as targets } from './targets/routes.ts'

export { releaseDialect } from './dialect.ts'
export { releaseTasks } from './tasks.ts'

/** All that the release surface serves. Registers its verbs, and its ear for agents that come and go, with the kernel: once, before it starts. */
export function releaseRoutes(kernel: Kernel): Bound[] {
  const health = healthVerb(kernel)
  kernel.jobs.register(health)
  kernel.agents.tellTo(agentSink(kernel))
  return [...environments(kernel), ...freezeWindows(kernel), ...targets(kernel, health), ...agents(kernel)]
}
