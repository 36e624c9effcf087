import { audit } from './audit.ts'
import { client } from './client.ts'
import { commands } from './commands.ts'
import { health } from './health.ts'
import { instances } from './instances.ts'
import { lifecycle } from './lifecycle.ts'
import { logs } from './logs.ts'
import { metrics } from './metrics.ts'
import { overview } from './overview.ts'
import { sockets } from './sockets.ts'
import { terminals } from './terminals.ts'
import { tickets } from './tickets.ts'
import { version } from './version.ts'

/** The areas of the fleet surface, one file each. */
export const fleet = {
  health,
  version,
  client,
  overview,
  instances,
  lifecycle,
  metrics,
  logs,
  commands,
  terminals,
  sockets,
  tickets,
  audit,
} as const
