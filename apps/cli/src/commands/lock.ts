import { contract } from '@wheelhouse/contract'
import { left, moment } from '../cells.ts'
import type { Call, Command, Group } from '../command.ts'
import { durationMs } from '../flags.ts'
import type { Columns } from '../render.ts'
import { row } from '../row.ts'

const { locks } = contract.jobs

const resources: NonNullable<Command['complete']> = async ({ client }) => {
  const { items } = await client.native.locks.listLocks({ query: { pageSize: 100 } })
  return items.map(({ resource, owners }) => [resource, Object.keys(owners).join(', ')] as const)
}

const owners = (held: Readonly<Record<string, number>>): string =>
  Object.entries(held)
    .map(([owner, holds]) => (holds > 1 ? `${owner} ×${holds}` : owner))
    .join(', ')

const list = row('native', contract.native.locks.listLocks, {
  name: 'list',
  aliases: ['ls'],
  columns: {
    RESOURCE: ({ resource }) => resource,
    MODE: ({ mode }) => mode,
    OWNERS: ({ owners: held }) => owners(held),
    TOKEN: ({ token }) => token,
    EXPIRES: ({ expiresAt }) => `in ${left(expiresAt)}`,
  },
  id: ({ resource }) => resource,
})

interface Held {
  resource: string
  mode: string
  owners: Readonly<Record<string, number>>
  token: number
  expires_at: string
}

const card: Columns<Held> = {
  Resource: ({ resource }) => resource,
  Mode: ({ mode }) => mode,
  Owners: ({ owners: held }) => owners(held),
  Token: ({ token }) => token,
  Expires: ({ expires_at: at }) => moment(at),
}

const get = row('jobs', locks.getLock, {
  name: 'get',
  aliases: ['show'],
  args: ['resource'],
  complete: resources,
  columns: card,
  id: ({ resource }) => resource,
})

/** What taking and renewing a lock have in common. */
const HOLD = {
  args: ['resource', 'owner'],
  hide: ['ttl_ms'],
  flags: [{ name: 'ttl', kind: 'text', value: 'time', summary: 'how long it holds (30s)' }],
  prepare: ({ body }: { body: Record<string, unknown> }, { flags }: Call) => {
    const ttl = flags.text('ttl')
    if (ttl !== undefined) body['ttl_ms'] = durationMs(ttl)
  },
  columns: card,
  id: ({ token }: Held) => String(token),
} as const

const acquire = row('jobs', locks.acquireLock, {
  ...HOLD,
  name: 'acquire',
  about: { mode: 'exclusive (the default) or shared' },
  examples: ['wheelhouse lock acquire db:orders ci-318 --ttl 10m -o name   # prints the fencing token'],
})

const renew = row('jobs', locks.renewLock, { ...HOLD, name: 'renew', complete: resources })

const release = row('jobs', locks.releaseLock, {
  name: 'release',
  args: ['resource', 'owner'],
  complete: resources,
  said: ({ lock }) => (lock ? `Released; still held by ${owners(lock.owners)}.` : 'Released.'),
})

export const lockGroup: Group = {
  name: 'lock',
  aliases: ['locks'],
  summary: 'Locks by name, with fencing tokens',
  commands: [list, get, acquire, renew, release],
}
