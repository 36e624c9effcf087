import { contract } from '@wheelhouse/contract'
import { age } from '../cells.ts'
import type { Command, Group } from '../command.ts'
import { durationMs } from '../flags.ts'
import { row } from '../row.ts'

const { keys } = contract.platform

const keyIds: NonNullable<Command['complete']> = async ({ client }) =>
  (await client.platform.keys.listKeys({})).map(({ id, name }) => [id, name] as const)

const list = row('platform', keys.listKeys, {
  name: 'list',
  aliases: ['ls'],
  items: (value) => value,
  columns: {
    ID: ({ id }) => id,
    NAME: ({ name }) => name,
    KIND: ({ kind }) => kind,
    CREATED: ({ created }) => age(created),
    'LAST USED': ({ lastUsed }) => age(lastUsed),
    EXPIRES: ({ expires, expired }) => (expired ? 'expired' : (expires?.slice(0, 10) ?? 'never')),
  },
  id: ({ id }) => id,
})

const create = row('platform', keys.createKey, {
  name: 'create',
  summary: 'Make an API key; it is shown this once',
  args: ['name'],
  hide: ['expires', 'admin', 'account'],
  flags: [
    { name: 'expires', kind: 'text', value: 'time', summary: 'how long it lives, like 30d (it does not expire)' },
    { name: 'not-admin', kind: 'switch', summary: 'never for administration, even where its owner may' },
    {
      name: 'publish',
      kind: 'list',
      value: 'subject',
      summary: 'NATS subjects it may publish to, and no others; may be repeated',
    },
    { name: 'subscribe', kind: 'list', value: 'subject', summary: 'NATS subjects it may subscribe to, and no others' },
    { name: 'in-tenant', kind: 'switch', summary: 'its NATS credentials are of the tenant’s account, as workers need' },
  ],
  about: { notes: 'what it is for', kind: 'what it is' },
  prepare({ body }, { flags }) {
    const life = flags.text('expires')
    if (life !== undefined) body['expires'] = new Date(Date.now() + durationMs(life)).toISOString()
    if (flags.on('not-admin')) body['admin'] = false
    if (flags.list('publish').length > 0) body['pub'] = { allow: flags.list('publish') }
    if (flags.list('subscribe').length > 0) body['sub'] = { allow: flags.list('subscribe') }
    if (flags.on('in-tenant')) body['account'] = 'tenant'
  },
  columns: {
    Token: ({ token }) => token,
    Name: ({ name }) => name,
    ID: ({ id }) => id,
    Expires: ({ expires }) => expires ?? 'never',
  },
  id: ({ token }) => token,
  said: () => 'Keep the token now: it cannot be read again.',
  examples: ['wheelhouse key create ci --expires 30d --not-admin', 'TOKEN=$(wheelhouse key create ci -o name -q)'],
})

const revoke = row('platform', keys.deleteKey, {
  name: 'revoke',
  aliases: ['delete', 'rm'],
  summary: 'End an API key and the connections that live on it',
  complete: keyIds,
  confirm: ({ args }) => `Revoke key ${args.one('id')}? Whatever uses it stops working.`,
  said: ({ deleted }) => `Revoked ${deleted}.`,
})

export const keyGroup: Group = {
  name: 'key',
  aliases: ['keys'],
  summary: 'Your API keys',
  commands: [list, create, revoke],
}
