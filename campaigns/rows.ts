import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'

/** Digests of all that a tenant has stored, by table, read past every right. */
async function look(databaseUrl: string, tenantId: string): Promise<Map<string, string>> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const { rows } = await client.query<{ name: string }>(`
      select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
       where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition order by 1`)
    const digests = new Map<string, string>()
    for (const { name } of rows) {
      const found = await client.query<{ digest: string }>(
        `select coalesce(md5(string_agg(t::text, ',' order by t::text)), '') as digest from "${name}" t where tenant_id = $1`,
        [tenantId],
      )
      digests.set(name, found.rows[0]?.digest ?? '')
    }
    return digests
  } finally {
    await client.end()
  }
}

const CALM_MS = 300
const MOST_LOOKS = 40

/** The same, once nothing has changed for a moment: what the server does by itself (sealing, sweeps) is over then. */
export async function storedRows(databaseUrl: string, tenantId: string): Promise<Map<string, string>> {
  let last = await look(databaseUrl, tenantId)
  for (let calm = 0, looks = 0; calm < 2 && looks < MOST_LOOKS; looks++) {
    await pause(CALM_MS)
    const now = await look(databaseUrl, tenantId)
    calm = [...now].every(([table, digest]) => last.get(table) === digest) ? calm + 1 : 0
    last = now
  }
  return last
}
