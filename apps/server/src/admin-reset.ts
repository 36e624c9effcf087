import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import { systemClock } from './kernel/clock/index.ts'
import { ConfigError, loadConfig } from './kernel/config/index.ts'
import { openDb } from './kernel/db/index.ts'
import { resetAdmin } from './kernel/identity/index.ts'
import { runningDatabaseUrl, StartError, startManaged, writeDurably } from './kernel/managed/index.ts'

/**
 * `wheelhouse admin reset` on the host itself (decisions D10): new secrets for the first administrator, in connection.json and on
 * stdout. Works beside a running server and without one; takes the server's own flags.
 */
async function main(): Promise<void> {
  const config = loadConfig({ argv: process.argv.slice(2), env: process.env, cwd: process.cwd() })
  const log = pino({ level: 'fatal' })
  const running = config.databaseUrl ?? runningDatabaseUrl(config.dataDir)
  if (running === undefined && !existsSync(join(config.dataDir, 'postgres', 'cluster')))
    throw new StartError(`There is no installation in ${config.dataDir}; --data-dir names another folder.`)
  const managed =
    running === undefined ? await startManaged({ ...config, natsPort: 0, natsWsPort: 0 }, { log }) : undefined
  const db = openDb({ url: running ?? managed?.databaseUrl ?? '', log })
  try {
    const { tenant, secrets } = await resetAdmin(db, systemClock)
    const file = join(config.dataDir, 'connection.json')
    const before = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as object) : {}
    if (existsSync(config.dataDir))
      writeDurably(file, `${JSON.stringify({ ...before, tenant: tenant.slug, admin: secrets }, undefined, 2)}\n`)
    process.stdout.write(`${JSON.stringify(secrets)}\n`)
  } finally {
    await db.close()
    await managed?.stop()
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(error instanceof ConfigError ? 2 : 1)
})
