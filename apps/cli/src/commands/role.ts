import { contract } from '@wheelhouse/contract'
import { yesNo } from '../cells.ts'
import type { Command, Group } from '../command.ts'
import { row } from '../row.ts'

const { roles } = contract.platform

const roleNames: NonNullable<Command['complete']> = async ({ client }) =>
  (await client.platform.roles.listRoles({})).map(({ name, description }) => [name, description] as const)

const list = row('platform', roles.listRoles, {
  name: 'list',
  aliases: ['ls'],
  items: (value) => value,
  columns: {
    NAME: ({ name }) => name,
    'BUILT IN': ({ builtin }) => yesNo(builtin),
    GRANTS: ({ grants }) =>
      grants.length > 4 ? `${grants.slice(0, 4).join(' ')} and ${grants.length - 4} more` : grants.join(' '),
    DESCRIPTION: ({ description }) => description,
  },
  id: ({ name }) => name,
})

const subjects = (perm: { allow?: string[]; deny?: string[] }): string =>
  [...(perm.allow ?? []), ...(perm.deny ?? []).map((subject) => `not ${subject}`)].join('\n')

const get = row('platform', roles.getRole, {
  name: 'get',
  aliases: ['show'],
  complete: roleNames,
  columns: {
    Name: ({ name }) => name,
    Description: ({ description }) => description,
    'Built in': ({ builtin }) => yesNo(builtin),
    Grants: ({ grants }) => grants.join('\n'),
    Publishes: ({ permissions }) => subjects(permissions.pub),
    Subscribes: ({ permissions }) => subjects(permissions.sub),
    Extensions: ({ extensions }) => extensions.join(', '),
  },
  id: ({ name }) => name,
})

const create = row('platform', roles.createRole, {
  name: 'create',
  args: ['name'],
  rename: { grants: 'grant', extensions: 'extension' },
  about: {
    grants: 'what it may do, like instance:read; may be repeated',
    extensions: 'prefix of extensions that it sees; may be repeated',
    description: 'what it is for',
  },
  said: ({ name }) => `Role ${name} is there. Give it to a group: wheelhouse role assign GROUP ${name}`,
  id: ({ name }) => name,
  examples: ['wheelhouse role create watcher --grant instance:read --grant log:read'],
})

const remove = row('platform', roles.deleteRole, {
  name: 'delete',
  aliases: ['rm'],
  complete: roleNames,
  confirm: ({ args }) => `Delete role ${args.one('name')}?`,
  said: ({ deleted }) => `Deleted ${deleted}.`,
})

const assign = row('platform', roles.assign, {
  name: 'assign',
  summary: 'Give a group its roles, in place of those it had',
  args: ['group', 'roles...'],
  hide: ['role'],
  said: ({ group, roles: given }) => `${group} now has ${given.join(', ')}.`,
  id: ({ group }) => group,
  examples: ['wheelhouse role assign platform-team operator watcher'],
})

const unassign = row('platform', roles.unassign, {
  name: 'unassign',
  confirm: ({ args }) => `Take all roles from ${args.one('group')}?`,
  said: ({ deleted }) => `${deleted} has no roles any more.`,
})

const assignments = row('platform', roles.listAssignments, {
  name: 'assignments',
  items: (value) => value,
  columns: {
    GROUP: ({ group }) => group,
    ROLES: ({ roles: given }) => given.join(', '),
    DESCRIPTION: ({ description }) => description,
  },
  id: ({ group }) => group,
})

const of = row('platform', roles.subjectRoles, {
  name: 'of',
  summary: 'What one user may do, and through which groups',
  columns: {
    Subject: ({ subject }) => subject,
    Groups: ({ groups }) => groups.join(', '),
    Roles: ({ roles: given }) => given.join(', '),
    Administrator: ({ admin }) => yesNo(admin),
    'Last seen': ({ lastSeen }) => lastSeen,
  },
  id: ({ subject }) => subject,
})

export const roleGroup: Group = {
  name: 'role',
  aliases: ['roles'],
  summary: 'Roles, and who has them',
  commands: [list, get, create, remove, assign, unassign, assignments, of],
}
