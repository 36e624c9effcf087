import { contract } from '@wheelhouse/contract'
import type { Command } from '../command.ts'
import { row } from '../row.ts'

const shown = row('platform', contract.platform.session.userinfo, {
  name: 'whoami',
  summary: 'As whom you are known, where, and what your roles are',
  columns: {
    Subject: ({ subject }) => subject,
    Name: ({ name }) => name,
    'E-mail': ({ email }) => email,
    Tenant: ({ organization }) => organization,
    Groups: ({ groups }) => groups.join(', '),
    Roles: ({ roles }) => roles.join(', '),
    Administrator: ({ admin }) => (admin ? 'yes' : 'no'),
    Key: ({ key }) => (key ? `${key.name} (${key.id})` : 'none: a session'),
  },
  id: ({ subject }) => subject,
})

export const whoami: Command = {
  ...shown,
  async run(call) {
    const { target } = call.session()
    if (call.format === 'table') call.voice.say(call.voice.tint('dim', `${target.url} (${target.name})`))
    return shown.run(call)
  },
}
