import type { AccountClaims, AccountLimits, Import } from './jwt.ts'
import { isPublicKey } from './nkeys.ts'
import { covers } from './subjects.ts'

/** A tenant account holds a tenant's workers, agents and services; a user account the keys of one user (decisions D2). */
export type AccountKind = 'tenant' | 'user'

interface Row {
  local: string
  in: readonly AccountKind[]
}

const TENANT = ['tenant'] as const
const BOTH = ['tenant', 'user'] as const

/**
 * Decisions D2's table, account → platform. `share` makes the server state the caller's account and user key with each message.
 * A user account may submit; only in the tenant account stand workers.
 */
const SERVICES: readonly (Row & { share: boolean })[] = [
  { local: 'sys.job.submit', share: true, in: BOTH },
  { local: 'sys.job.cancel', share: true, in: TENANT },
  { local: 'sys.job.result', share: false, in: TENANT },
  { local: 'sys.job.progress', share: false, in: TENANT },
  { local: 'sys.heartbeat', share: false, in: TENANT },
  { local: 'sys.alert', share: false, in: TENANT },
  { local: 'cirata.services.>', share: true, in: BOTH },
  { local: '$KV.extensions.>', share: true, in: BOTH },
  { local: '$KV.extension_status.>', share: true, in: BOTH },
  { local: '_WH.reply.>', share: false, in: BOTH },
]

/** Platform → account. `job.>` and `worker.>` never reach a user account: a key there could otherwise read a tenant's jobs. */
const STREAMS: readonly Row[] = [
  { local: 'job.>', in: TENANT },
  { local: 'worker.>', in: TENANT },
  { local: 'sys.job.cancel', in: TENANT },
  { local: 'sys.workflow.event', in: TENANT },
  { local: 'cirata.extensions.>', in: BOTH },
  { local: '$SRV.>', in: BOTH },
  { local: 'cirata.symphony.events.>', in: BOTH },
  { local: 'cirata.services.config.changed.>', in: BOTH },
]

/** Fixed sums would be reserved and exhaust the server after a few accounts (decisions D2). */
const LIMITS: AccountLimits = {
  subs: -1,
  data: -1,
  payload: -1,
  imports: -1,
  exports: 0,
  wildcards: true,
  conn: 200,
  leaf: 0,
  mem_storage: 0,
  disk_storage: -1,
  streams: 100,
  consumer: 1000,
  disk_max_stream_bytes: 256 * 1024 ** 2,
  max_bytes_required: true,
}

/** The platform's form of an account's subject: a leading `$` is dropped, the rest stays (decisions D2). */
export function platformForm(local: string): string {
  return local.startsWith('$') ? local.slice(1) : local
}

/** Whether the server itself states who sent a message on this local subject; elsewhere an identity header is the sender's own. */
export function carriesIdentity(local: string): boolean {
  return SERVICES.some((row) => row.share && covers(row.local, local))
}

/**
 * The claims of an account. `revocations` maps user public keys to seconds: credentials issued at or before are refused.
 * Throws on keys that are none; an import that named a foreign account would be dead although the resolver says "updated".
 */
export function accountClaims(
  kind: AccountKind,
  account: string,
  platform: string,
  revocations: Readonly<Record<string, number>> = {},
): AccountClaims {
  if (!isPublicKey(account, 'account') || !isPublicKey(platform, 'account')) throw new Error('not a public account key')
  for (const user of Object.keys(revocations))
    if (!isPublicKey(user, 'user')) throw new Error('a revocation names no public user key')
  const own = (row: Row) => row.in.includes(kind)
  const services = SERVICES.filter(own).map((row): Import => ({
    name: `in ${row.local}`,
    type: 'service',
    account: platform,
    subject: `in.${account}.${platformForm(row.local)}`,
    local_subject: row.local,
    ...(row.share ? { share: true } : {}),
  }))
  const streams = STREAMS.filter(own).map((row): Import => ({
    name: `out ${row.local}`,
    type: 'stream',
    account: platform,
    subject: `out.${account}.${platformForm(row.local)}`,
    local_subject: row.local,
  }))
  return {
    type: 'account',
    version: 2,
    limits: LIMITS,
    imports: [...services, ...streams],
    revocations,
    default_permissions: { pub: {}, sub: {} },
  }
}
