import { readFileSync } from 'node:fs'
import type { Logger } from 'pino'
import type { OperatorKeys } from '../bus/index.ts'
import type { Config } from '../config/index.ts'
import { startManagedAgent, type ManagedAgent } from './agent.ts'
import { keepSecret, lockDataFolder, prepareDataFolder } from './data-folder.ts'
import { startManagedNats } from './nats.ts'
import { startManagedPostgres } from './postgres.ts'
import { StartError } from './start-error.ts'
import type { ChildStatus, Supervised } from './supervise.ts'

/** What the server stands on, whether it is ours or was given. */
export interface Managed {
  /** The owner of the schema. */
  databaseUrl: string
  nats: { url: string; wsUrl: string | undefined; keys: OperatorKeys }
  /** Starts the agent of this host; call it once the main listener answers. */
  startAgent(options: { url: string; token: string }): Promise<ManagedAgent>
  children(): ChildStatus[]
  /** Ends the agent alone: first step of an orderly stop, before the listeners close. */
  stopAgent(): Promise<void>
  /** Ends what still runs (agent, bus, database in this order, within 11 s at worst) and frees the data folder. */
  stop(): Promise<void>
}

type Needed = Pick<
  Config,
  'dataDir' | 'host' | 'natsPort' | 'natsWsPort' | 'databaseUrl' | 'natsUrl' | 'natsOperatorFile'
>

export interface ManagedOptions {
  log: Logger
  /** Gets one line for each step, for people. */
  tell?: (step: string) => void
  /** Aborted once the server ends: what ends from then on is not started again. */
  ending?: AbortSignal
}

/**
 * Takes the data folder and starts the managed PostgreSQL and nats-server, unless DATABASE_URL and NATS_URL name others. When it
 * throws, nothing of it runs any more.
 */
export async function startManaged(
  config: Needed,
  { log, tell = () => undefined, ending = new AbortController().signal }: ManagedOptions,
): Promise<Managed> {
  prepareDataFolder(config.dataDir)
  const lock = await lockDataFolder(config.dataDir)
  const children: Supervised[] = []
  let agent: ManagedAgent | undefined

  async function stop(): Promise<void> {
    for (const child of children.toReversed()) await child.stop()
    await lock.release()
  }

  try {
    const database = (async () => {
      if (config.databaseUrl) return config.databaseUrl
      tell('Starting PostgreSQL')
      const postgres = await startManagedPostgres({ dataDir: config.dataDir, ending, log })
      children.unshift(postgres)
      return postgres.url
    })()
    const bus = (async () => {
      if (config.natsUrl) return { url: config.natsUrl, wsUrl: undefined, keys: givenKeys(config) }
      tell('Starting nats-server')
      const nats = await startManagedNats({
        dataDir: config.dataDir,
        host: config.host,
        port: config.natsPort,
        wsPort: config.natsWsPort,
        ending,
        log,
      })
      children.push(nats)
      return { url: nats.url, wsUrl: nats.wsUrl, keys: nats.keys }
    })()
    const [databaseUrl, nats] = await allOrNothing(database, bus)
    return {
      databaseUrl,
      nats,
      async startAgent(options) {
        agent = await startManagedAgent({ ...options, dataDir: config.dataDir, ending, log })
        children.push(agent)
        return agent
      },
      children: () => children.map((child) => child.status()),
      async stopAgent() {
        await agent?.stop()
      },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Waits for both also when one fails, so that the other can be stopped. */
async function allOrNothing<A, B>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([a, b])
  return [await a, await b]
}

function givenKeys({ dataDir, natsOperatorFile }: Needed): OperatorKeys {
  if (natsOperatorFile) return JSON.parse(readFileSync(natsOperatorFile, 'utf8')) as OperatorKeys
  return keepSecret<OperatorKeys>(dataDir, 'operator.json', () => {
    throw new StartError(
      'NATS_URL needs the keys of its operator: set WHEELHOUSE_NATS_OPERATOR_FILE (see docs/operations.md)',
    )
  })
}
