import manifest from '../package.json' with { type: 'json' }
import { Agent } from './agent.ts'
import { ConfigError, readConfig, SETTINGS } from './config.ts'
import { createLog, messageOf } from './log.ts'
import { lockDataDir } from './lock.ts'

const LAST_MOMENT_MS = 9_000

function usage(): string {
  const rows = Object.entries(SETTINGS).map(([key, { flag, help }]) => {
    return `  ${(flag && `--${flag}`).padEnd(14)} WHEELHOUSE_AGENT_${key.padEnd(11)} ${help}`
  })
  return `Wheelhouse agent ${manifest.version}: joins this host to a Wheelhouse server.\n\n${rows.join('\n')}\n`
}

async function main(args: readonly string[]): Promise<void> {
  if (args.includes('--help')) return void process.stdout.write(usage())
  if (args.includes('--version')) return void process.stdout.write(`${manifest.version}\n`)
  const config = readConfig(args, process.env)
  const log = createLog(config.logLevel, [config.token])
  const unlock = await lockDataDir(config.dataDir)
  log.info('agent starts', { version: manifest.version, instance: config.instanceId, server: config.url.origin })
  const agent = await Agent.start(config, manifest.version, log)
  let leaving = false
  const leave = (signal: NodeJS.Signals) => {
    if (leaving) return
    leaving = true
    log.info('agent stops', { signal })
    // Whatever hangs, a supervisor that asked us to go must not wait for ever.
    setTimeout(() => process.exit(1), LAST_MOMENT_MS).unref()
    void agent.stop().then(() => {
      unlock()
      process.exit(0)
    })
  }
  process.on('SIGTERM', leave).on('SIGINT', leave)
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`wheelhouse-agent: ${messageOf(error)}\n`)
  process.exit(error instanceof ConfigError ? 2 : 1)
}
