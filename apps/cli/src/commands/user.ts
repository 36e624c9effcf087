import { contract } from '@wheelhouse/contract'
import { age } from '../cells.ts'
import { askHidden } from '../ask.ts'
import type { Call, Command, Group } from '../command.ts'
import { readStdin } from '../io.ts'
import { row } from '../row.ts'

const { users } = contract.jobs

const userIds: NonNullable<Command['complete']> = async ({ client }) =>
  (await client.jobs.users.listUsers({})).items.map(({ id, username }) => [id, username] as const)

const STDIN = { name: 'password-stdin', kind: 'switch', summary: 'read the password from stdin' } as const

const passwordOf = async (call: Call): Promise<string> =>
  call.flags.on('password-stdin')
    ? (await readStdin(call.io)).replace(/\r?\n$/, '')
    : askHidden(call, 'Password of the user', '--password-stdin')

const list = row('jobs', users.listUsers, {
  name: 'list',
  aliases: ['ls'],
  items: ({ items }) => items,
  columns: {
    ID: ({ id }) => id,
    USER: ({ username }) => username,
    NAME: ({ display_name: name }) => name,
    'E-MAIL': ({ email }) => email,
    ROLES: ({ roles }) => roles?.join(', '),
    'LAST LOGIN': ({ last_login_at: at }) => age(at),
  },
  id: ({ id }) => id,
})

const create = row('jobs', users.createUser, {
  name: 'create',
  args: ['username'],
  hide: ['password', 'tenant'],
  flags: [STDIN],
  about: { role: 'viewer, user, developer, operator, approver, admin or a role of your own (user)' },
  prepare: async ({ body }, call) => {
    if (!call.flags.on('dry-run')) body['password'] ??= await passwordOf(call)
  },
  columns: { ID: ({ id }) => id, User: ({ username }) => username, Roles: ({ roles }) => roles?.join(', ') },
  id: ({ id }) => id,
  examples: [
    'wheelhouse user create ada --role operator',
    'wheelhouse user create ci --role user --password-stdin < file',
  ],
})

const update = row('jobs', users.updateUser, {
  name: 'update',
  complete: userIds,
  rename: { roles: 'role' },
  about: { roles: 'the role; may be repeated, the first counts' },
  said: ({ username }) => `Changed ${username}.`,
})

const password = row('jobs', users.setUserPassword, {
  name: 'password',
  summary: 'Set a user’s password; ends all of the user’s sessions',
  complete: userIds,
  hide: ['password'],
  flags: [STDIN],
  prepare: async ({ body }, call) => {
    if (!call.flags.on('dry-run')) body['password'] = await passwordOf(call)
  },
  said: () => 'Set. All sessions of the user have ended.',
})

const remove = row('jobs', users.deleteUser, {
  name: 'delete',
  aliases: ['rm'],
  complete: userIds,
  confirm: ({ args }) => `Delete user ${args.one('id')}? Their keys and sessions stop working.`,
  said: () => 'Deleted.',
})

export const userGroup: Group = {
  name: 'user',
  aliases: ['users'],
  summary: 'Users of the tenant',
  commands: [list, create, update, password, remove],
}
