import { createHmac, randomInt } from 'node:crypto'
import { Fault } from '@wheelhouse/contract'
import { ids, type Instant } from '../../kernel/clock/index.ts'
import { at, sql, type Tx } from '../../kernel/db/index.ts'
import { newOpaqueToken, type Principal, secretHash } from '../../kernel/identity/index.ts'

/** RFC 8628 §3.2: how long the person has, and how often the device may ask. */
export const DEVICE_MS = 10 * 60_000
export const INTERVAL_MS = 5_000
/** RFC 8628 §3.5: what each answer `slow_down` adds. */
const SLOWER_MS = 5_000
/** A poll that is a little early, because clocks and networks are, is not punished. */
const GRACE_MS = 500

/** Letters that are not mistaken for one another, without vowels: no words. */
const LETTERS = 'BCDFGHJKLMNPQRSTVWXZ'

export interface DeviceFlow {
  id: string
  client: string
  ip: string
  createdAt: Instant
  expiresAt: Instant
}

const columns = sql`id, client, ip, created_at as "createdAt", expires_at as "expiresAt"`

/** User codes are short: without our key their hashes say nothing. */
const codeHash = (key: Buffer, code: string): Buffer =>
  createHmac('sha256', key)
    .update(code.toUpperCase().replace(/[^A-Z]/g, ''))
    .digest()

/** Begins a device's login. For `db.auth`, as all of these. */
export async function startFlow(
  tx: Tx,
  now: Instant,
  key: Buffer,
  from: { client: string; ip: string },
): Promise<{ deviceCode: string; userCode: string }> {
  const deviceCode = newOpaqueToken('whd_')
  const letters = Array.from({ length: 8 }, () => LETTERS[randomInt(LETTERS.length)]).join('')
  const userCode = `${letters.slice(0, 4)}-${letters.slice(4)}`
  await tx.run(sql`
    insert into device_flows (id, device_hash, user_code_hash, client, ip, interval_ms, created_at, expires_at)
    values (${ids.next()}, ${secretHash(deviceCode)}, ${codeHash(key, userCode)}, ${from.client}, ${from.ip}, ${INTERVAL_MS}, ${at(now)}, ${at(now + DEVICE_MS)})`)
  return { deviceCode, userCode }
}

/** What waits behind a user code; 404 when nothing does. */
export async function waitingFlow(tx: Tx, now: Instant, key: Buffer, userCode: string): Promise<DeviceFlow> {
  const flow = await tx.maybe<DeviceFlow>(sql`
    select ${columns} from device_flows where user_code_hash = ${codeHash(key, userCode)} and state = 'pending' and expires_at > ${at(now)}`)
  if (!flow) throw new Fault('RES_NOT_FOUND', { kind: 'device' }, { message: 'No device waits with this code' })
  return flow
}

/** Confirms or refuses it, once, in the name of a user. */
export async function decideFlow(
  tx: Tx,
  now: Instant,
  key: Buffer,
  userCode: string,
  principal: Principal,
  approved: boolean,
): Promise<DeviceFlow> {
  const flow = await waitingFlow(tx, now, key, userCode)
  const done = await tx.run(sql`
    update device_flows set state = ${approved ? 'approved' : 'denied'}, tenant = ${principal.tenantId}, principal = ${principal.id}
     where id = ${flow.id} and state = 'pending'`)
  if (done === 0) throw new Fault('RES_NOT_FOUND', { kind: 'device' }, { message: 'No device waits with this code' })
  return flow
}

export type PollOutcome =
  | { kind: 'approved'; tenantId: string; principalId: string; client: string }
  | { kind: 'pending' | 'slow_down' | 'denied' | 'expired' | 'unknown' }

/** What the device is told now. An answer that ends the login is given once; the outcome must be committed before it is told. */
export async function pollFlow(tx: Tx, now: Instant, deviceCode: string): Promise<PollOutcome> {
  const row = await tx.maybe<{
    id: string
    state: 'pending' | 'approved' | 'denied'
    client: string
    tenant: string | null
    principal: string | null
    interval: number
    polledAt: Instant | null
    expiresAt: Instant
  }>(sql`
    select id, state, client, tenant, principal, interval_ms as interval, polled_at as "polledAt", expires_at as "expiresAt"
      from device_flows where device_hash = ${secretHash(deviceCode)} for update`)
  if (!row) return { kind: 'unknown' }
  const end = () => tx.run(sql`delete from device_flows where id = ${row.id}`)
  if (row.expiresAt <= now) {
    await end()
    return { kind: 'expired' }
  }
  if (row.state === 'pending') {
    const early = row.polledAt !== null && now < row.polledAt + row.interval - GRACE_MS
    await tx.run(sql`
      update device_flows set polled_at = ${at(now)}, interval_ms = ${row.interval + (early ? SLOWER_MS : 0)} where id = ${row.id}`)
    return { kind: early ? 'slow_down' : 'pending' }
  }
  await end()
  if (row.state === 'denied' || row.tenant === null || row.principal === null) return { kind: 'denied' }
  return { kind: 'approved', tenantId: row.tenant, principalId: row.principal, client: row.client }
}
