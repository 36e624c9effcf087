import { createHmac, randomBytes } from 'node:crypto'
import type { Logger } from 'pino'
import { type Bus, openBus, type OperatorKeys } from './bus/index.ts'
import type { Clock } from './clock/index.ts'
import type { Config } from './config/index.ts'
import { type Db, openDb } from './db/index.ts'
import { type Egress, openEgress } from './egress/index.ts'
import { type Events, type Feed, openEvents, openFeed } from './events/index.ts'
import { openTrail, type Trail } from './audit/index.ts'
import { authenticator, type Authenticator, openTokens, type Tokens } from './identity/index.ts'
import { keepSecret } from './managed/index.ts'
import { PolicyEngine } from './policy/index.ts'
import { openSchedule, retentionTasks, type Schedule } from './schedule/index.ts'
import { openVault, type Vault } from './vault/index.ts'

/** What every domain stands on. A domain takes the parts it needs: `({ db, jobs }: Kernel) => serve(…)`. */
export interface Kernel {
  config: Config
  log: Logger
  clock: Clock
  db: Db
  vault: Vault
  bus: Bus
  events: Events
  trail: Trail
  /** What just happened, for the sockets of all replicas; not kept. */
  feed: Feed
  policy: PolicyEngine
  /** The only way to the outside (decisions D9). */
  egress: Egress
  schedule: Schedule
  authenticator: Authenticator
  tokens: Tokens
  /** A key for one purpose, derived from the vault's: the same on all replicas, never stored. */
  derivedKey(purpose: string): Buffer
  close(): Promise<void>
}

export interface KernelFacts {
  config: Config
  databaseUrl: string
  nats: { url: string; keys: OperatorKeys }
  log: Logger
  clock: Clock
}

/** Opens the kernel on a migrated database. Closes in the opposite order of opening. */
export async function openKernel({ config, databaseUrl, nats, log, clock }: KernelFacts): Promise<Kernel> {
  const root = vaultKey(config)
  const db = openDb({ url: databaseUrl, log })
  const vault = openVault([root])
  const bus = await openBus({ urls: [nats.url], keys: nats.keys, log, clock })
  const events = openEvents({ db, bus, clock, log, vault })
  const feed = openFeed(log, bus)
  const policy = new PolicyEngine({
    db,
    clock,
    log,
    onWake: (run) => bus.onWake('policy', run),
    wake: () => bus.wake('policy'),
  })
  policy.start()
  const schedule = openSchedule({ db, clock, log })
  for (const task of retentionTasks(db, clock)) await schedule.add(task)
  return {
    config,
    log,
    clock,
    db,
    vault,
    bus,
    events,
    trail: openTrail(db, events),
    feed,
    policy,
    egress: openEgress(config.egress.allow),
    schedule,
    authenticator: authenticator(db, clock),
    tokens: openTokens(db, clock, vault),
    derivedKey: (purpose) => createHmac('sha256', root).update(purpose).digest(),
    async close() {
      await schedule.close()
      await policy.stop()
      feed.close()
      await events.close()
      await bus.close()
      await db.close()
    },
  }
}

/** The vault's root key: configured, or made once in the data folder (mode 0600). */
function vaultKey({ vaultKey: given, dataDir }: Config): Buffer {
  return Buffer.from(given ?? keepSecret(dataDir, 'vault.json', () => randomBytes(32).toString('hex')), 'hex')
}
