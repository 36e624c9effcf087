import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { crashPoint } from '../crash/index.ts'

const FOLDER = new URL('../../../migrations/', import.meta.url)
const LOCK = 7_101_923

/**
 * Brings the schema up to this version: files in order of their number, each in one transaction, checksums kept.
 * Replicas that start together wait for each other. Refuses a schema whose applied files differ from ours.
 * `afterwards` runs under the same lock (the first start makes its tenant there).
 */
export async function migrate(url: string, afterwards?: () => Promise<void>): Promise<string[]> {
  const client = new pg.Client({ connectionString: url, application_name: 'wheelhouse migrate' })
  await client.connect()
  try {
    await client.query('select pg_advisory_lock($1)', [LOCK])
    await client.query(
      'create table if not exists migrations (name text primary key, checksum text not null, applied_at timestamptz not null default now())',
    )
    const { rows } = await client.query<{ name: string; checksum: string }>('select name, checksum from migrations')
    const applied = new Map(rows.map((row) => [row.name, row.checksum]))
    const done: string[] = []
    for (const { name, text, checksum } of await files()) {
      const before = applied.get(name)
      if (before !== undefined) {
        if (before !== checksum)
          throw new Error(`Migration ${name} was changed after it had been applied; restore the file or the database`)
        continue
      }
      await client.query('begin')
      try {
        await client.query(text)
        await client.query('insert into migrations (name, checksum) values ($1, $2)', [name, checksum])
        crashPoint('migrate:before-commit')
        await client.query('commit')
        crashPoint('migrate:after-commit')
      } catch (error) {
        await client.query('rollback')
        throw new Error(`Migration ${name} failed`, { cause: error })
      }
      done.push(name)
    }
    await refuseStrongRoles(client)
    await afterwards?.()
    return done
  } finally {
    await client.end()
  }
}

async function files(): Promise<{ name: string; text: string; checksum: string }[]> {
  const names = (await readdir(fileURLToPath(FOLDER))).filter((name) => /^\d{4}_[a-z0-9_]+\.sql$/.test(name)).sort()
  return Promise.all(
    names.map(async (name) => {
      const text = await readFile(new URL(name, FOLDER), 'utf8')
      return { name, text, checksum: createHash('sha256').update(text).digest('hex') }
    }),
  )
}

/** A request role that can pass row-level security would undo the isolation of tenants: start is refused (decisions D6). */
async function refuseStrongRoles(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ rolname: string }>(
    `select rolname from pg_roles where rolname in ('wh_tenant', 'wh_engine', 'wh_auth', 'wh_reader')
      and (rolsuper or rolbypassrls or exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relowner = pg_roles.oid and n.nspname = 'public'))`,
  )
  if (rows.length > 0) {
    throw new Error(
      `Database role ${rows.map((row) => row.rolname).join(', ')} could pass row-level security: take SUPERUSER, BYPASSRLS and ownership from it`,
    )
  }
}
