import type { Bound } from '../kernel/http/index.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { routes as audit } from './audit/routes.ts'
import { routes as client } from './client/routes.ts'
import { routes as commands } from './commands/routes.ts'
import { commandVerb } from './commands/verb.ts'
import { routes as health } from './health/routes.ts'
import { routes as instances } from './instances/routes.ts'
import { routes as lifecycle } from './lifecycle/routes.ts'
import { routes as logs } from './logs/routes.ts'
import { routes as metrics } from './metrics/routes.ts'
import { routes as overview } from './overview/routes.ts'
import { routes as sockets } from './sockets/routes.ts'
import { fleetSink } from './telemetry/sink.ts'
import { routes as terminals } from './terminals/routes.ts'
import { terminalVerb } from './terminals/verb.ts'
import { routes as tickets } from './tickets/routes.ts'
import { routes as version } from './version/routes.ts'

export { fleetDialect } from './dialect.ts'
export { fleetTasks } from './tasks.ts'

/** All that the fleet surface serves. Registers its verbs, and its ear for what agents say, with the kernel: once, before it starts. */
export function fleetRoutes(kernel: Kernel): Bound[] {
  const command = commandVerb(kernel)
  const terminal = terminalVerb(kernel)
  kernel.jobs.register(command)
  kernel.jobs.register(terminal)
  kernel.agents.tellTo(fleetSink(kernel))
  return [
    ...health(kernel),
    ...version(kernel),
    ...client(kernel),
    ...overview(kernel),
    ...instances(kernel),
    ...lifecycle(kernel),
    ...metrics(kernel),
    ...logs(kernel),
    ...commands(kernel, command),
    ...terminals(kernel, terminal),
    ...sockets(kernel, command),
    ...tickets(kernel),
    ...audit(kernel),
  ]
}
