import type { Logger } from 'pino'
import { type Instant, pause } from '../clock/index.ts'
import { crashPoint } from '../crash/index.ts'
import { type Db, sql, type Tx } from '../db/index.ts'
import type { CheckpointSigner } from './checkpoints.ts'
import { type Chain, type DomainEvent, FIRST_HASH, linkHash, type MovedHead } from './sealed.ts'

const BATCH = 1000
const SWEEP_MS = 1000
const ELECTION_RETRY_MS = 2000
const LOCK = 7_101_924

export interface SealerOptions {
  db: Db
  log: Logger
  checkpoints: CheckpointSigner
  /** Called after the commit, in the order of sealing. */
  onEvents(events: DomainEvent[]): void
}

interface OutboxRow {
  n: number
  tenant_id: string
  id: string
  kind: Chain
  at: Instant
  body: Record<string, unknown>
}

export interface Sealer {
  /** There may be new rows. */
  wake(): void
  stop(): Promise<void>
}

/**
 * The one process of the cluster that numbers and chains what was committed (decisions D7). Elected by an advisory lock on a
 * connection of its own: when this process dies, another takes over; rows wait in the outbox meanwhile.
 */
export function startSealer(options: SealerOptions): Sealer {
  const { db, log } = options
  const stopping = new AbortController()
  let woken = true
  let nudge: (() => void) | undefined

  async function rest(): Promise<void> {
    if (woken) return
    const waiting = new AbortController()
    nudge = () => waiting.abort()
    await pause(SWEEP_MS, AbortSignal.any([waiting.signal, stopping.signal])).catch(() => undefined)
    nudge = undefined
  }

  async function reign(isMine: () => boolean): Promise<void> {
    while (!stopping.signal.aborted && isMine()) {
      woken = false
      const sealed = await db.engine((tx) => sealBatch(tx))
      if (sealed.count > 0) crashPoint('seal:after-commit')
      if (sealed.events.length > 0) options.onEvents(sealed.events)
      await options.checkpoints.afterBatch(sealed.heads)
      if (sealed.count < BATCH) await rest()
    }
  }

  async function stand(): Promise<void> {
    const { client, release } = await db.dedicated()
    let mine = false
    client.once('end', () => {
      mine = false
    })
    try {
      const { rows } = await client.query<{ held: boolean }>('select pg_try_advisory_lock($1) as held', [LOCK])
      mine = rows[0]?.held === true
      if (mine) await reign(() => mine)
    } finally {
      await release().catch(() => undefined)
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      await stand().catch((error: unknown) => {
        if (!stopping.signal.aborted) log.warn({ err: error }, 'Sealing waits for the database')
      })
      await pause(ELECTION_RETRY_MS, stopping.signal).catch(() => undefined)
    }
  }

  const running = run()
  return {
    wake() {
      woken = true
      nudge?.()
    },
    async stop() {
      stopping.abort()
      await running
    },
  }
}

interface Sealed {
  count: number
  events: DomainEvent[]
  heads: MovedHead[]
}

/** Moves up to 1,000 rows of the outbox into their chains, in one transaction. */
async function sealBatch(tx: Tx): Promise<Sealed> {
  const rows = await tx.many<OutboxRow>(
    sql`select n, tenant_id, id, kind, at, body from outbox order by n limit ${BATCH}`,
  )
  if (rows.length === 0) return { count: 0, events: [], heads: [] }
  const tenants = [...new Set(rows.map((row) => row.tenant_id))].sort()
  const known = await tx.many<{ tenant_id: string; chain: Chain; seq: number; hash: Buffer }>(sql`
    select tenant_id, chain, seq, hash from chain_heads where tenant_id = any(${tenants}::uuid[])`)
  const heads = new Map<string, MovedHead>(
    known.map((row) => [
      `${row.tenant_id} ${row.chain}`,
      { tenantId: row.tenant_id, chain: row.chain, seq: row.seq, hash: row.hash, added: 0 },
    ]),
  )
  const links = rows.map((row) => {
    const key = `${row.tenant_id} ${row.kind}`
    const head = heads.get(key) ?? { tenantId: row.tenant_id, chain: row.kind, seq: 0, hash: FIRST_HASH, added: 0 }
    const seq = head.seq + 1
    const hash = linkHash(head.hash, { tenantId: row.tenant_id, seq, id: row.id, at: row.at, body: row.body })
    heads.set(key, { ...head, seq, hash, added: head.added + 1 })
    return { ...row, seq, hash }
  })
  await insertEvents(
    tx,
    links.filter((link) => link.kind === 'event'),
  )
  await insertAudit(
    tx,
    links.filter((link) => link.kind === 'audit'),
  )
  const moved = [...heads.values()].filter((head) => head.added > 0)
  await tx.run(sql`
    insert into chain_heads (tenant_id, chain, seq, hash)
    select * from unnest(${moved.map((head) => head.tenantId)}::uuid[], ${moved.map((head) => head.chain)}::text[],
                         ${moved.map((head) => head.seq)}::bigint[], ${moved.map((head) => head.hash)}::bytea[])
    on conflict (tenant_id, chain) do update set seq = excluded.seq, hash = excluded.hash`)
  await tx.run(sql`delete from outbox where n = any(${rows.map((row) => row.n)}::bigint[])`)
  crashPoint('seal:before-commit')
  return { count: rows.length, events: links.filter((link) => link.kind === 'event').map(eventOf), heads: moved }
}

type LinkRow = OutboxRow & { seq: number; hash: Buffer }

const text = (value: unknown): string => (typeof value === 'string' ? value : '')
const part = (body: Record<string, unknown>, name: string): Record<string, unknown> =>
  (body[name] ?? {}) as Record<string, unknown>

/** The columns that both chains share, in one order. */
const shared = (links: readonly LinkRow[]) => sql`
  ${links.map((link) => link.tenant_id)}::uuid[], ${links.map((link) => link.seq)}::bigint[], ${links.map((link) => link.id)}::uuid[],
  ${links.map((link) => new Date(link.at))}::timestamptz[], ${links.map((link) => JSON.stringify(link.body))}::jsonb[],
  ${links.map((link) => link.hash)}::bytea[]`

async function insertEvents(tx: Tx, links: readonly LinkRow[]): Promise<void> {
  if (links.length === 0) return
  await tx.run(sql`
    insert into events (tenant_id, seq, id, at, body, hash, type, resource_kind, resource_id)
    select * from unnest(${shared(links)}, ${links.map((link) => text(link.body['type']))}::text[],
      ${links.map((link) => text(part(link.body, 'resource')['kind']))}::text[], ${links.map((link) => text(part(link.body, 'resource')['id']))}::text[])`)
}

async function insertAudit(tx: Tx, links: readonly LinkRow[]): Promise<void> {
  if (links.length === 0) return
  await tx.run(sql`
    insert into audit (tenant_id, seq, id, at, body, hash, actor_kind, actor_id, verb, resource_kind, resource_id, outcome)
    select * from unnest(${shared(links)}, ${links.map((link) => text(part(link.body, 'actor')['kind']))}::text[],
      ${links.map((link) => text(part(link.body, 'actor')['id']))}::text[], ${links.map((link) => text(link.body['verb']))}::text[],
      ${links.map((link) => text(link.body['resourceKind']))}::text[], ${links.map((link) => text(link.body['resourceId']))}::text[],
      ${links.map((link) => text(link.body['outcome']))}::text[])`)
}

/** A stored row as the event that it is. */
export function eventOf(row: {
  tenant_id: string
  seq: number
  id: string
  at: Instant
  body: Record<string, unknown>
}): DomainEvent {
  return { ...(row.body as unknown as DomainEvent), id: row.id, seq: row.seq, tenantId: row.tenant_id, at: row.at }
}
