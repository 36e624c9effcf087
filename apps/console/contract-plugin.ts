import type { Plugin } from 'vite'

const ID = 'virtual:wheelhouse-contract'

interface Declared {
  method: string
  path: string
  kind?: string
  list?: unknown
  permission: string
}

/** Gives the browser what it needs of the contract, method, path, permission and whether it is a list, without its schemas: they are types there, and would be the larger part of the bundle. */
export function contractPlugin(): Plugin {
  return {
    name: 'wheelhouse-contract',
    resolveId: (source) => (source === ID ? `\0${ID}` : undefined),
    async load(id) {
      if (id !== `\0${ID}`) return undefined
      const { contract } = await import('@wheelhouse/contract')
      return `export const contract = ${JSON.stringify(slim(contract))}`
    },
  }
}

function slim(contract: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, Declared>>>>>>) {
  const each = <A, B>(members: Readonly<Record<string, A>>, make: (member: A) => B) =>
    Object.fromEntries(Object.entries(members).map(([name, member]) => [name, make(member)]))
  return each(contract, (areas) =>
    each(areas, (area) =>
      each(area, ({ method, path, kind, list, permission }) => ({
        method,
        path,
        permission,
        ...(kind ? { kind } : {}),
        ...(list ? { list: {} } : {}),
      })),
    ),
  )
}
