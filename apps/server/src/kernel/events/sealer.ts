import type { Logger } from 'pino'
import { type Instant, pause } from '../clock/index.ts'
import { crashPoint } from '../crash/index.ts'
import { type Db, hexes, words } from '../db/index.ts'
import type { CheckpointSigner } from './checkpoints.ts'
import { type Chain, type DomainEvent, FIRST_HASH, linkHash, type MovedHead } from './sealed.ts'

const BATCH = 1000
/** Long enough that sealing does not fight with the commits of a job that is under way, too short for anyone who watches. */
const GATHER_MS = 15
const SWEEP_MS = 1000
/**
 * A look begins so many numbers before the last row that was sealed: what lies further back was mostly sealed and removed, but is still
 * walked over until it is vacuumed. A transaction that took its number before and commits after is met by the sweep, which looks at all.
 */
const LOOK_BACK = 1000
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
  /** Whether it is this process that seals. */
  reigns(): boolean
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
  let reigning = false
  let nudge: (() => void) | undefined
  const reigns = (): boolean => reigning

  async function rest(): Promise<void> {
    if (woken) return
    const waiting = new AbortController()
    nudge = () => waiting.abort()
    await pause(SWEEP_MS, AbortSignal.any([waiting.signal, stopping.signal])).catch(() => undefined)
    nudge = undefined
  }

  async function reign(): Promise<void> {
    const heads: Heads = new Map()
    let full = false
    let sealedTo = 0
    let sweptAt = -Infinity
    while (!stopping.signal.aborted && reigns()) {
      woken = false
      // A burst is sealed together, and the first of a few jobs is on its way before its rows are sealed.
      if (!full) await pause(GATHER_MS, stopping.signal).catch(() => undefined)
      const sweeps = performance.now() - sweptAt >= SWEEP_MS
      if (sweeps) sweptAt = performance.now()
      const sealed = await sealBatch(db, heads, sweeps ? 0 : sealedTo - LOOK_BACK)
      sealedTo = Math.max(sealedTo, sealed.to)
      if (sealed.count > 0) crashPoint('seal:after-commit')
      if (sealed.events.length > 0) options.onEvents(sealed.events)
      await options.checkpoints.afterBatch(sealed.heads)
      full = sealed.count === BATCH
      if (!full) await rest()
    }
  }

  async function stand(): Promise<void> {
    const { client, release } = await db.dedicated()
    client.once('end', () => {
      reigning = false
    })
    try {
      const { rows } = await client.query<{ held: boolean }>('select pg_try_advisory_lock($1) as held', [LOCK])
      reigning = rows[0]?.held === true
      if (reigning) await reign()
    } finally {
      reigning = false
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
    reigns,
    async stop() {
      stopping.abort()
      await running
    },
  }
}

interface Sealed {
  count: number
  /** The last row's place in the outbox. */
  to: number
  events: DomainEvent[]
  heads: MovedHead[]
}

/** Where the chains stand, as far as this sealer has asked. It is the only one that moves them while it reigns. */
type Heads = Map<string, MovedHead>

const WAITING = `select n, tenant_id, id, kind, at, body from outbox where n > $1 order by n limit ${BATCH}`
const HEADS = 'select tenant_id, chain, seq, hash from chain_heads where tenant_id = any($1::uuid[])'

// One statement, so one transaction: rows go from the outbox to their chain with what they are, and the heads follow. Where another
// sealer has taken a row, the division fails and with it everything; where it has given a number, the primary key does.
const MOVE = `
with sealed as (
  select * from unnest($1::bigint[], $2::bigint[], $3::bytea[]) as s(n, seq, hash)
), gone as (
  delete from outbox o using sealed s where o.n = s.n returning o.tenant_id, o.id, o.kind, o.at, o.body, s.seq, s.hash
), to_events as (
  insert into events (tenant_id, seq, id, at, body, hash, type, resource_kind, resource_id)
  select tenant_id, seq, id, at, body, hash, coalesce(body ->> 'type', ''), coalesce(body -> 'resource' ->> 'kind', ''),
    coalesce(body -> 'resource' ->> 'id', '')
  from gone where kind = 'event'
), to_audit as (
  insert into audit (tenant_id, seq, id, at, body, hash, actor_kind, actor_id, verb, resource_kind, resource_id, outcome)
  select tenant_id, seq, id, at, body, hash, coalesce(body -> 'actor' ->> 'kind', ''), coalesce(body -> 'actor' ->> 'id', ''),
    coalesce(body ->> 'verb', ''), coalesce(body ->> 'resourceKind', ''), coalesce(body ->> 'resourceId', ''), coalesce(body ->> 'outcome', '')
  from gone where kind = 'audit'
), moved as (
  insert into chain_heads (tenant_id, chain, seq, hash)
  select * from unnest($4::uuid[], $5::text[], $6::bigint[], $7::bytea[])
  on conflict (tenant_id, chain) do update set seq = excluded.seq, hash = excluded.hash
)
select 1 / (count(*) = cardinality($1::bigint[]))::int from gone`

const headKey = (tenantId: string, chain: Chain): string => `${tenantId} ${chain}`

/** Reads the heads of chains that are not known yet. */
async function learn(db: Db, heads: Heads, tenants: readonly string[]): Promise<void> {
  const unknown = tenants.filter((tenantId) => !heads.has(headKey(tenantId, 'event')))
  if (unknown.length === 0) return
  const { rows } = await db.engineQuery<{ tenant_id: string; chain: Chain; seq: number; hash: Buffer }>(HEADS, [
    unknown,
  ])
  for (const tenantId of unknown) {
    for (const chain of ['event', 'audit'] as const)
      heads.set(headKey(tenantId, chain), { tenantId, chain, seq: 0, hash: FIRST_HASH, added: 0 })
  }
  for (const { tenant_id: tenantId, chain, seq, hash } of rows)
    heads.set(headKey(tenantId, chain), { tenantId, chain, seq, hash, added: 0 })
}

/** Moves up to so many rows of the outbox beyond a place into their chains, in one transaction. `heads` follows once it is committed. */
async function sealBatch(db: Db, heads: Heads, beyond: number): Promise<Sealed> {
  const { rows } = await db.engineQuery<OutboxRow>(WAITING, [beyond])
  const to = rows.at(-1)?.n
  if (to === undefined) return { count: 0, to: 0, events: [], heads: [] }
  await learn(db, heads, [...new Set(rows.map((row) => row.tenant_id))])
  const moved: Heads = new Map()
  const links: LinkRow[] = []
  for (const row of rows) {
    const key = headKey(row.tenant_id, row.kind)
    const head = moved.get(key) ?? heads.get(key)
    if (!head) throw new Error('A chain without a head')
    const seq = head.seq + 1
    const hash = linkHash(head.hash, { tenantId: row.tenant_id, seq, id: row.id, at: row.at, body: row.body })
    moved.set(key, { ...head, seq, hash, added: head.added + 1 })
    links.push({ ...row, seq, hash })
  }
  const ahead = [...moved.values()]
  crashPoint('seal:before-commit')
  await db.engineQuery(MOVE, [
    words(links.map(({ n }) => n)),
    words(links.map(({ seq }) => seq)),
    hexes(links.map(({ hash }) => hash.toString('hex'))),
    words(ahead.map(({ tenantId }) => tenantId)),
    words(ahead.map(({ chain }) => chain)),
    words(ahead.map(({ seq }) => seq)),
    hexes(ahead.map(({ hash }) => hash.toString('hex'))),
  ])
  for (const [key, head] of moved) heads.set(key, { ...head, added: 0 })
  return { count: rows.length, to, events: links.filter((link) => link.kind === 'event').map(eventOf), heads: ahead }
}

type LinkRow = OutboxRow & { seq: number; hash: Buffer }

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
