import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'

/** What PostgreSQL holds, read past every right: the checks judge by what is stored, not by what the server says of it. */
export class Ledger {
  readonly #client: pg.Client

  private constructor(client: pg.Client) {
    this.#client = client
  }

  static async open(dataDir: string): Promise<Ledger> {
    const { superuser } = JSON.parse(readFileSync(join(dataDir, 'secrets', 'database.json'), 'utf8')) as {
      superuser: string
    }
    const port = Number(readFileSync(join(dataDir, 'postgres', 'cluster', 'postmaster.pid'), 'utf8').split('\n')[3])
    const client = new pg.Client({
      host: '127.0.0.1',
      port,
      user: 'postgres',
      password: superuser,
      database: 'wheelhouse',
    })
    await client.connect()
    return new Ledger(client)
  }

  async rows<T>(text: string, values: readonly unknown[] = []): Promise<T[]> {
    return (await this.#client.query(text, [...values])).rows as T[]
  }

  async count(text: string, values: readonly unknown[] = []): Promise<number> {
    const [row] = await this.rows<{ n: string }>(`select count(*) as n from ${text}`, values)
    return Number(row?.n)
  }

  close(): Promise<void> {
    return this.#client.end()
  }
}

interface Link {
  tenant_id: string
  seq: string
  id: string
  at: Date
  body: unknown
  hash: Buffer
}

const NOBODY = '00000000-0000-0000-0000-000000000000'

/** What is wrong with the tenants' chains of events or audit rows: their positions, their hashes, their heads. Nothing: sound. */
export async function chainFaults(
  ledger: Ledger,
  chain: 'events' | 'audit',
): Promise<{ rows: number; faults: string[] }> {
  const heads = await ledger.rows<{ tenant_id: string; seq: string; hash: Buffer }>(
    'select tenant_id, seq, hash from chain_heads where chain = $1',
    [chain === 'events' ? 'event' : 'audit'],
  )
  const faults: string[] = []
  const last = new Map<string, { seq: number; hash: Buffer }>()
  let rows = 0
  for (let [from, seen] = [NOBODY, -1]; ;) {
    // A part at a time: a long campaign has millions of them.
    const links = await ledger.rows<Link>(
      `select tenant_id, seq, id, at, body, hash from ${chain} where (tenant_id, seq) > ($1::uuid, $2::bigint) order by tenant_id, seq limit 20000`,
      [from, seen],
    )
    for (const { tenant_id: tenant, seq, id, at, body, hash } of links) {
      const before = last.get(tenant) ?? { seq: 0, hash: Buffer.alloc(32) }
      if (Number(seq) !== before.seq + 1) faults.push(`${chain} ${tenant}: ${seq} follows ${before.seq}`)
      const row = canonical({ tenant, seq: Number(seq), id, at: at.toISOString(), body })
      if (!createHash('sha256').update(before.hash).update(row).digest().equals(hash))
        faults.push(`${chain} ${tenant} ${seq}: the hash is wrong`)
      last.set(tenant, { seq: Number(seq), hash })
    }
    rows += links.length
    const end = links.at(-1)
    if (!end) break
    ;[from, seen] = [end.tenant_id, Number(end.seq)]
  }
  for (const { tenant_id: tenant, seq, hash } of heads) {
    const end = last.get(tenant)
    if (end?.seq !== Number(seq) || !end.hash.equals(hash))
      faults.push(`${chain} ${tenant}: the head is at ${seq}, the rows end at ${end?.seq}`)
  }
  return { rows, faults }
}

/** JSON in its canonical form (RFC 8785), written anew here, so that the server does not judge itself. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value)
    .filter(([, each]) => each !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([name, each]) => `${JSON.stringify(name)}:${canonical(each)}`).join(',')}}`
}
