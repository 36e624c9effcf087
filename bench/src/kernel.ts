import { join } from 'node:path'
import { pino } from 'pino'
import { systemClock } from '../../apps/server/src/kernel/clock/index.ts'
import { loadConfig } from '../../apps/server/src/kernel/config/index.ts'
import { prepareDataFolder } from '../../apps/server/src/kernel/managed/index.ts'
import { type Kernel, openKernel } from '../../apps/server/src/kernel/kernel.ts'
import type { Ground } from './ground.ts'

/** A second kernel on the ground's database and bus, for what has no door of its own over HTTP. It is not started: it drives no jobs. */
export async function secondKernel(ground: Ground): Promise<Kernel> {
  const dataDir = join(ground.dataDir, 'second')
  prepareDataFolder(dataDir)
  const config = structuredClone(loadConfig({ argv: [], env: { WHEELHOUSE_DATA_DIR: dataDir }, cwd: dataDir }))
  return openKernel({
    config,
    databaseUrl: ground.databaseUrl,
    nats: ground.managed.nats,
    log: pino({ level: 'error' }),
    clock: systemClock,
  })
}
