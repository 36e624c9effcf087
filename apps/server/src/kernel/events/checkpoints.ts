import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto'
import { type Clock, ids, iso, type Instant } from '../clock/index.ts'
import { at, type Db, jsonb, sql } from '../db/index.ts'
import type { Vault } from '../vault/index.ts'
import type { Chain, MovedHead } from './sealed.ts'

const PAYLOAD_TYPE = 'application/vnd.wheelhouse.checkpoint+json'
const EVERY_MS = 60_000
const EVERY_ROWS = 10_000

/** A DSSE envelope around `{tenant, chain, seq, hash, at}`. */
export interface Envelope {
  payloadType: typeof PAYLOAD_TYPE
  payload: string
  signatures: { keyid: string; sig: string }[]
}

/** What a checkpoint says: the hash of a chain at a position. */
export interface Checkpoint {
  tenant: string
  chain: Chain
  seq: number
  hash: string
}

export interface CheckpointSigner {
  /** Signs the chains that grew by 10,000 rows, or have stood unsigned for a minute. */
  afterBatch(heads: readonly MovedHead[]): Promise<void>
  /** What the envelope says, if one of our keys signed it. */
  read(envelope: Envelope): Promise<Checkpoint | undefined>
}

/** DSSE's pre-authentication encoding. */
const encoded = (payload: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${payload.length} `), payload])

export function openCheckpoints(db: Db, clock: Clock, vault: Vault): CheckpointSigner {
  const pending = new Map<string, MovedHead & { since: Instant }>()
  let keys: ReturnType<typeof loadKeys> | undefined
  const load = () =>
    (keys ??= loadKeys(db, vault).catch((error: unknown) => {
      keys = undefined
      throw error
    }))

  return {
    async afterBatch(heads) {
      const now = clock.now()
      for (const head of heads) {
        const key = `${head.tenantId} ${head.chain}`
        const before = pending.get(key)
        pending.set(key, { ...head, added: head.added + (before?.added ?? 0), since: before?.since ?? now })
      }
      const due = [...pending].filter(([, head]) => head.added >= EVERY_ROWS || now - head.since >= EVERY_MS)
      if (due.length === 0) return
      const { id, privateKey } = await load()
      const signed = due.map(([, head]) => {
        const payload = Buffer.from(
          JSON.stringify({
            tenant: head.tenantId,
            chain: head.chain,
            seq: head.seq,
            hash: head.hash.toString('hex'),
            at: iso(now),
          }),
        )
        const envelope: Envelope = {
          payloadType: PAYLOAD_TYPE,
          payload: payload.toString('base64'),
          signatures: [{ keyid: id, sig: sign(null, encoded(payload), privateKey).toString('base64') }],
        }
        return { head, envelope: jsonb(envelope) }
      })
      await db.engine((tx) =>
        tx.run(sql`
          insert into seals (tenant_id, chain, seq, at, envelope)
          select tenant, chain, seq, ${at(now)}::timestamptz, envelope
            from unnest(${signed.map(({ head }) => head.tenantId)}::uuid[], ${signed.map(({ head }) => head.chain)}::text[],
                        ${signed.map(({ head }) => head.seq)}::bigint[], ${signed.map(({ envelope }) => envelope)}::jsonb[]) as s (tenant, chain, seq, envelope)
          on conflict do nothing`),
      )
      for (const [key] of due) pending.delete(key)
    },
    async read(envelope) {
      const { byId } = await load()
      const payload = Buffer.from(envelope.payload, 'base64')
      const signed = envelope.signatures.some(({ keyid, sig }) => {
        const key = byId.get(keyid)
        return key !== undefined && verify(null, encoded(payload), key, Buffer.from(sig, 'base64'))
      })
      return signed ? (JSON.parse(payload.toString()) as Checkpoint) : undefined
    },
  }
}

/** The installation's checkpoint keys, newest first; made at first use, private half sealed by the vault. */
async function loadKeys(db: Db, vault: Vault) {
  const rows = await db.auth(async (tx) => {
    const known = await tx.many<{ id: string; sealed_private: string }>(sql`
      select id, sealed_private from signing_keys where purpose = 'checkpoint' order by created_at desc, id desc`)
    if (known.length > 0) return known
    const { privateKey } = generateKeyPairSync('ed25519')
    const id = ids.next()
    const sealed = vault.seal(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), `signing key ${id}`)
    await tx.run(sql`insert into signing_keys (id, purpose, sealed_private) values (${id}, 'checkpoint', ${sealed})`)
    return [{ id, sealed_private: sealed }]
  })
  const opened = rows.map((row) => ({
    id: row.id,
    privateKey: createPrivateKey(vault.open(row.sealed_private, `signing key ${row.id}`)),
  }))
  const [newest] = opened
  if (!newest) throw new Error('There is no checkpoint key')
  return { ...newest, byId: new Map<string, KeyObject>(opened.map((key) => [key.id, createPublicKey(key.privateKey)])) }
}
