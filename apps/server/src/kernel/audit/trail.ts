import { type Db, sql } from '../db/index.ts'
import { type Chain, type Envelope, type Events, FIRST_HASH, linkHash } from '../events/index.ts'

/** What a verification found. */
export interface Verdict {
  chain: Chain
  rows: number
  intact: boolean
  /** Where the chain breaks, and how. */
  broken?: { seq: number; reason: 'hash' | 'gap' | 'checkpoint' }
  checkpoints: number
  /** The newest position that a signed checkpoint covers. */
  signedTo: number
  lastHash: string
}

export interface Trail {
  /** Recomputes a tenant's chain from its first row and holds it against every signed checkpoint. */
  verify(tenantId: string, chain: Chain): Promise<Verdict>
}

const STEP = 5000

interface Row {
  seq: number
  id: string
  at: number
  body: unknown
  hash: Buffer
}

export function openTrail(db: Db, events: Events): Trail {
  /** The signed hash at each checkpoint; '' where the signature is not ours or speaks of something else. */
  async function signedHashes(tenantId: string, chain: Chain): Promise<Map<number, string>> {
    const seals = await db.big(
      tenantId,
      (tenant) => sql<{ seq: number; envelope: Envelope }>`
      select seq, envelope from seals where tenant_id = ${tenant} and chain = ${chain} order by seq`,
    )
    const signed = new Map<number, string>()
    for (const { seq, envelope } of seals) {
      const said = await events.checkpoints.read(envelope)
      signed.set(seq, said && said.tenant === tenantId && said.chain === chain && said.seq === seq ? said.hash : '')
    }
    return signed
  }

  return {
    async verify(tenantId, chain) {
      await events.settled(tenantId)
      const table = sql.table(chain === 'audit' ? 'audit' : 'events')
      const signed = await signedHashes(tenantId, chain)
      const signedTo = Math.max(0, ...signed.keys())
      let previous: Buffer = FIRST_HASH
      let seq = 0
      const verdict = (broken?: Verdict['broken']): Verdict => ({
        chain,
        rows: seq,
        intact: broken === undefined,
        ...(broken ? { broken } : {}),
        checkpoints: signed.size,
        signedTo,
        lastHash: previous.toString('hex'),
      })
      function fault(row: Row): NonNullable<Verdict['broken']>['reason'] | undefined {
        if (row.seq !== seq + 1) return 'gap'
        if (!linkHash(previous, { tenantId, seq: row.seq, id: row.id, at: row.at, body: row.body }).equals(row.hash))
          return 'hash'
        const checkpoint = signed.get(row.seq)
        return checkpoint !== undefined && checkpoint !== row.hash.toString('hex') ? 'checkpoint' : undefined
      }
      for (;;) {
        const rows = await db.big(
          tenantId,
          (tenant) => sql<Row>`
          select seq, id, at, body, hash from ${table} where tenant_id = ${tenant} and seq > ${seq} order by seq limit ${STEP}`,
        )
        for (const row of rows) {
          const reason = fault(row)
          if (reason) return verdict({ seq: row.seq, reason })
          previous = row.hash
          seq = row.seq
        }
        if (rows.length < STEP) break
      }
      return verdict(signedTo > seq ? { seq: seq + 1, reason: 'gap' } : undefined)
    },
  }
}
