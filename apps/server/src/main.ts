import { setTimeout as pause } from 'node:timers/promises'
import { pino, type Logger } from 'pino'
import { composeHttp, openGrpc, startKernel } from './composition.ts'
import { consoleFiles } from './console-files.ts'
import { systemClock } from './kernel/clock/index.ts'
import { ConfigError, explainConfig, loadConfig, printConfig, type Config } from './kernel/config/index.ts'
import { migrate } from './kernel/db/index.ts'
import { openKernel } from './kernel/kernel.ts'
import { StartError, startManaged } from './kernel/managed/index.ts'
import { installation } from './installation.ts'

/** How long an orderly stop may take before what is left is ended hard. */
const STOP_WITHIN_MS = 9_500

/** How long a stop waits for the step of a start that is under way. */
const STEP_WITHIN_MS = 3_000

/** How much later than its children the server may hear of a signal to all of them. */
const SIGNAL_WITHIN_MS = 50

async function main(): Promise<void> {
  const [word, ...rest] = process.argv.slice(2)
  const surroundings = { env: process.env, cwd: process.cwd() }
  if (word === 'config') return void process.stdout.write(printConfig(explainConfig({ ...surroundings, argv: rest })))
  const config = loadConfig({ ...surroundings, argv: process.argv.slice(2) })
  const log = pino({ level: config.log.level, redact: ['*.password', '*.token', '*.apiKey', '*.authorization'] })
  const say = (line: string): void => void process.stderr.write(`${line}\n`)
  const ending = new AbortController()
  const closers: Closers = []
  const started = bringUp({ config, log, say, ending: ending.signal, closers })
  let stopped: Promise<void> | undefined
  const stop = (): Promise<void> => (stopped ??= stopAll(started, closers))

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => {
      setTimeout(() => process.exit(1), STOP_WITHIN_MS).unref()
      ending.abort()
      void stop().then(
        () => process.exit(0),
        (error: unknown) => {
          log.error({ err: error }, 'The stop was not orderly')
          process.exit(1)
        },
      )
    })
  }
  process.on('unhandledRejection', (error) => log.error({ err: error }, 'A promise was left alone'))

  try {
    await started
  } catch (error) {
    // A Ctrl-C may reach the programs that a start calls (initdb) before we hear of it ourselves.
    await pause(SIGNAL_WITHIN_MS)
    await stop()
    if (!ending.signal.aborted) throw error
  }
}

type Closers = (() => Promise<unknown>)[]

interface Start {
  config: Config
  log: Logger
  /** Gets one line for each step, for people. */
  say(line: string): void
  /** Aborted by the first signal to stop: the start goes no further than the step at hand. */
  ending: AbortSignal
  /** Gets what closes each thing that was opened. */
  closers: Closers
}

/** Managed children → schema → kernel → first start → listeners → agent. Nothing else wires. */
async function bringUp({ config, log, say, ending, closers }: Start): Promise<void> {
  const managed = await startManaged(config, { log, tell: say, ending })
  closers.push(() => managed.stop())
  ending.throwIfAborted()
  say('Preparing the database')
  await migrate(managed.databaseUrl)
  ending.throwIfAborted()
  const kernel = await openKernel({
    config,
    databaseUrl: managed.databaseUrl,
    nats: managed.nats,
    log,
    clock: systemClock,
  })
  closers.push(() => kernel.close())
  ending.throwIfAborted()
  const installed = await installation(kernel)
  ending.throwIfAborted()
  const fallback = consoleFiles()
  const http = composeHttp(kernel, { checkReplies: false, ...(fallback ? { fallback } : {}) })
  closers.push(() => http.close())
  await startKernel(kernel)
  ending.throwIfAborted()
  const port = await http.listen(config.port, config.host)
  if (config.fleetPort !== undefined) await http.listen(config.fleetPort, config.host, 'fleet')
  if (config.jobsPort !== undefined) await http.listen(config.jobsPort, config.host, 'jobs')
  const grpc = openGrpc(kernel, http)
  closers.push(() => grpc.close())
  const grpcPort = await grpc.listen(config.host, config.grpcPort)
  ending.throwIfAborted()
  const url = config.publicUrl ?? `http://${config.host}:${port}`
  await installed.announce({ url, grpc: `${config.host}:${grpcPort}`, nats: managed.nats, say })
  ending.throwIfAborted()
  if (config.agent.enabled) {
    await managed.startAgent({ url: `http://${config.host}:${port}`, token: installed.agentToken })
    closers.push(() => managed.stopAgent())
  }
}

/**
 * Closes what was opened, the last first; one that fails does not keep the others open. What is just being opened is closed with
 * the rest, unless it takes too long: a given database that does not answer is not waited for.
 */
async function stopAll(started: Promise<void>, closers: Closers): Promise<void> {
  await Promise.race([started.catch(() => undefined), pause(STEP_WITHIN_MS, undefined, { ref: false })])
  const failures: unknown[] = []
  for (const close of closers.toReversed()) await close().catch((error: unknown) => failures.push(error))
  if (failures.length > 0) throw new AggregateError(failures)
}

/** What a person can mend is told without a stack. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error instanceof ConfigError || error instanceof StartError) return error.message
  const { code, port } = error as { code?: string; port?: number }
  if (code === 'EADDRINUSE')
    return `Port ${port} is in use. Set WHEELHOUSE_PORT (and its sisters, docs/configuration.md) to another one, or to 0 for a free one.`
  return error.stack ?? error.message
}

main().catch((error: unknown) => {
  process.stderr.write(`\n${reason(error)}\n`)
  process.exit(error instanceof ConfigError ? 2 : 1)
})
