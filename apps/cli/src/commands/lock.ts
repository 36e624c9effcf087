import { contract } from '@wheelhouse/contract'
import { age, instant, moment } from '../cells.ts'
import type { Command, Group } from '../command.ts'
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
    EXPIRES: ({ expiresAt }) => `in ${age(2 * Date.now() - (instant(expiresAt) ?? 0))}`,
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

const TTL = { name: 'ttl', kind: 'text', value: 'time', summary: 'how long it holds (30s)' } as const

const acquire = row('jobs', locks.acquireLock, {
  name: 'acquire',
  args: ['resource', 'owner'],
  hide: ['ttl_ms'],
  flags: [TTL],
  about: { mode: 'exclusive (the default) or shared' },
  prepare: ({ body }, { flags }) => {
    const ttl = flags.text('ttl')
    if (ttl !== undefined) body['ttl_ms'] = durationMs(ttl)
  },
  columns: card,
  id: ({ token }) => String(token),
  examples: ['wheelhouse lock acquire db:orders ci-318 --ttl 10m -o name   # prints the fencing token'],
})

const renew = row('jobs', locks.renewLock, {
  name: 'renew',
  args: ['resource', 'owner'],
  hide: ['ttl_ms'],
  flags: [TTL],
  complete: resources,
  prepare: ({ body }, { flags }) => {
    const ttl = flags.text('ttl')
    if (ttl !== undefined) body['ttl_ms'] = durationMs(ttl)
  },
  columns: card,
  id: ({ token }) => String(token),
})

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
