import { createPublicKey, type KeyObject } from 'node:crypto'
import { Fault } from '@wheelhouse/contract'
import type { BusPacket } from '@wheelhouse/contract/proto/cap_pb'
import { LRUCache } from 'lru-cache'
import type { Logger } from 'pino'
import { type Bus, verifyPacket } from '../bus/index.ts'
import { type Db, sql } from '../db/index.ts'

/** A word that keys changed may be lost with the bus; then they are read again after so long. */
const REMEMBER_MS = 5000

/** Who may speak as a tenant's workers, where the tenant says so by public keys (jobs.md 29.5). */
export interface PacketCheck {
  /** Whether a packet counts: the tenant has no keys, or its sender signed these very bytes and speaks for itself alone. */
  admits(tenantId: string, packet: BusPacket, bytes: Uint8Array): Promise<boolean>
}

export function openPacketCheck({ db, bus, log }: { db: Db; bus: Bus; log: Logger }): PacketCheck {
  const known = new LRUCache<string, Promise<ReadonlyMap<string, KeyObject>>>({ max: 10_000, ttl: REMEMBER_MS })
  bus.onWake('worker-keys', () => known.clear())

  async function read(tenantId: string): Promise<ReadonlyMap<string, KeyObject>> {
    const rows = await db.tenant(tenantId, (tx) =>
      tx.many<{ workerId: string; publicKey: string }>(
        sql`select worker_id as "workerId", public_key as "publicKey" from worker_keys limit 10000`,
      ),
    )
    return new Map(rows.map(({ workerId, publicKey }) => [workerId, createPublicKey(publicKey)]))
  }

  function keysOf(tenantId: string): Promise<ReadonlyMap<string, KeyObject>> {
    const cached = known.get(tenantId)
    if (cached) return cached
    const asked = read(tenantId)
    known.set(tenantId, asked)
    asked.catch(() => known.delete(tenantId))
    return asked
  }

  return {
    async admits(tenantId, packet, bytes) {
      const keys = await keysOf(tenantId)
      if (keys.size === 0) return true
      const key = keys.get(packet.senderId)
      if (key && speaksForItself(packet) && verifyPacket(bytes, key)) return true
      log.warn({ tenantId, senderId: packet.senderId.slice(0, 128) }, 'A packet without a valid signature was dropped')
      return false
    },
  }
}

/** A worker tells of its own jobs and its own life; with another's name it would take that one's place. */
function speaksForItself({ senderId, payload }: BusPacket): boolean {
  if (payload.case === 'heartbeat') return payload.value.workerId === senderId
  if (payload.case === 'jobResult') return payload.value.workerId === '' || payload.value.workerId === senderId
  return true
}

/** The key as it is stored, SPKI in PEM. Throws VAL_SCHEMA for what is no public key on P-256, a private key above all. */
export function publicKeyOf(pem: string): string {
  const bad = (message: string, cause?: unknown): Fault =>
    new Fault('VAL_SCHEMA', { field: 'publicKey' }, { message, ...(cause === undefined ? {} : { cause }) })
  if (pem.includes('PRIVATE')) throw bad('This is a private key: keep it with the worker, and give the public one')
  let key: KeyObject
  try {
    key = createPublicKey(pem)
  } catch (error) {
    throw bad('publicKey must be an ECDSA P-256 public key in PEM', error)
  }
  if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1')
    throw bad('publicKey must be an ECDSA P-256 public key in PEM')
  return key.export({ type: 'spki', format: 'pem' }).toString()
}
