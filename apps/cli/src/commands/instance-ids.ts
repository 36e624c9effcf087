import type { Command } from '../command.ts'

/** What Tab offers where a machine is meant. */
export const instanceIds: NonNullable<Command['complete']> = async ({ client }) => {
  const { items } = await client.fleet.instances.listInstances({ query: { pageSize: 100 } })
  return items.map(({ id, name, status }) => [id, `${name} ${status}`] as const)
}
