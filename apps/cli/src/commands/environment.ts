import { contract } from '@wheelhouse/contract'
import { moment, yesNo } from '../cells.ts'
import type { Command, Group } from '../command.ts'
import { CliError, EXIT } from '../exit.ts'
import { durationMs } from '../flags.ts'
import { row } from '../row.ts'

const { environments, freezeWindows } = contract.release

const environmentIds: NonNullable<Command['complete']> = async ({ client }) => {
  const { items } = await client.release.environments.list({ query: { pageSize: 100 } })
  return items.map(({ id, name, displayName }) => [id, `${name} ${displayName}`] as const)
}

const list = row('release', environments.list, {
  name: 'list',
  aliases: ['ls'],
  hide: ['includeState'],
  columns: {
    ID: ({ id }) => id,
    NAME: ({ name }) => name,
    TITLE: ({ displayName }) => displayName,
    ORDER: ({ orderIndex }) => orderIndex,
    PRODUCTION: ({ isProduction }) => yesNo(isProduction),
    APPROVALS: ({ requiredApprovals }) => requiredApprovals,
    FROZEN: ({ freezeWindows: windows }) => yesNo(windows.some(({ active }) => active)),
  },
  id: ({ id }) => id,
  examples: ['wheelhouse env list --sort orderIndex --filter \'{"isProduction": true}\''],
})

const get = row('release', environments.get, {
  name: 'get',
  aliases: ['show'],
  complete: environmentIds,
  columns: {
    ID: ({ id }) => id,
    Name: ({ name }) => name,
    Title: ({ displayName }) => displayName,
    Order: ({ orderIndex }) => orderIndex,
    Production: ({ isProduction }) => yesNo(isProduction),
    Approvals: ({ requiredApprovals, requireSeparationOfDuties }) =>
      `${requiredApprovals}${requireSeparationOfDuties ? ', not by who asks' : ''}`,
    Targets: ({ targetCount }) => targetCount,
    'Agent labels': ({ config }) => config.agentLabels.join(', '),
    Timeout: ({ config }) => `${config.deploymentTimeout} s`,
    Freezes: ({ freezeWindows: windows }) =>
      windows.map(({ start, end, reason }) => `${moment(start)} to ${moment(end)}: ${reason}`).join('\n'),
    Version: ({ version }) => version,
  },
  id: ({ id }) => id,
})

const create = row('release', environments.create, {
  name: 'create',
  args: ['name'],
  rename: { isProduction: 'production', requiredApprovals: 'approvals', orderIndex: 'order' },
  hide: ['requireSod', 'workflowTemplateId', 'promotionPolicy'],
  about: {
    displayName: 'its title (the name)',
    orderIndex: 'its place on the way to production (behind the last one)',
    isProduction: 'releases here are production',
    requiredApprovals: 'how many must approve a promotion',
    requireSeparationOfDuties: 'who asks may not approve',
    autoPromoteFrom: 'id of the environment that promotes into this one by itself',
  },
  async prepare({ body }, call) {
    body['displayName'] ??= body['name']
    body['config'] ??= {}
    if (body['orderIndex'] !== undefined) return
    const last = await call.session().client.release.environments.list({ query: { sort: '-orderIndex', pageSize: 1 } })
    body['orderIndex'] = (last.items[0]?.orderIndex ?? -1) + 1
  },
  columns: { ID: ({ id }) => id, Name: ({ name }) => name, Order: ({ orderIndex }) => orderIndex },
  id: ({ id }) => id,
  examples: ['wheelhouse env create prod --production --approvals 2', 'wheelhouse env create dev -f dev.yaml'],
})

const remove = row('release', environments.remove, {
  name: 'delete',
  aliases: ['rm'],
  complete: environmentIds,
  confirm: ({ args }) => `Delete environment ${args.one('id')}?`,
  said: () => 'Deleted.',
})

const freeze = row('release', freezeWindows.create, {
  name: 'freeze',
  summary: 'Stop promotions into an environment for some time',
  args: ['reason'],
  complete: environmentIds,
  hide: ['start', 'end'],
  flags: [
    { name: 'for', kind: 'text', value: 'time', summary: 'how long, like 2h or 3d' },
    { name: 'start', kind: 'text', value: 'time', summary: 'when it begins, RFC 3339 (now)' },
    { name: 'end', kind: 'text', value: 'time', summary: 'when it ends, RFC 3339' },
  ],
  about: { exceptions: 'release that may pass all the same; may be repeated' },
  prepare({ body }, { flags }) {
    const start = flags.text('start') ?? new Date().toISOString()
    const length = flags.text('for')
    if ((length === undefined) === (flags.text('end') === undefined))
      throw new CliError(EXIT.usage, 'Say how long it lasts.', 'Either --for 2h or --end 2030-01-31T18:00:00Z.')
    body['start'] = start
    body['end'] =
      length === undefined ? flags.text('end') : new Date(Date.parse(start) + durationMs(length)).toISOString()
  },
  said: ({ id, end }) => `Frozen until ${moment(end)} (window ${id}).`,
  id: ({ id }) => id,
  examples: ['wheelhouse env freeze 0192… "inventory weekend" --for 3d'],
})

const unfreeze = row('release', freezeWindows.remove, {
  name: 'unfreeze',
  summary: 'Remove a freeze window',
  confirm: ({ args }) => `Remove freeze window ${args.one('windowId')}?`,
  said: () => 'Promotions may go on.',
})

const freezes = row('release', freezeWindows.list, {
  name: 'freezes',
  summary: 'The freeze windows of an environment',
  complete: environmentIds,
  columns: {
    ID: ({ id }) => id,
    START: ({ start }) => moment(start),
    END: ({ end }) => moment(end),
    ACTIVE: ({ active }) => yesNo(active),
    REASON: ({ reason }) => reason,
  },
  id: ({ id }) => id,
})

export const environmentGroup: Group = {
  name: 'env',
  aliases: ['environment', 'environments'],
  summary: 'Environments that releases go through',
  commands: [list, get, create, remove, freeze, unfreeze, freezes],
}
