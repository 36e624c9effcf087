import { expect, test } from 'vitest'
import { contract, type Endpoint } from '@wheelhouse/contract'
import { contractPlugin } from '../../contract-plugin.ts'

test('the browser knows method, path and permission of every endpoint, and no schema', async () => {
  const { load } = contractPlugin()
  if (typeof load !== 'function') throw new Error('the plugin loads by a function')
  const code = String(await load.call({} as never, '\0virtual:wheelhouse-contract'))
  const slim = JSON.parse(code.slice(code.indexOf('{'))) as typeof contract
  for (const [surface, areas] of Object.entries(contract)) {
    for (const [area, endpoints] of Object.entries(areas as Record<string, Record<string, Endpoint>>)) {
      for (const [name, { method, path, permission }] of Object.entries(endpoints)) {
        const known = (slim as unknown as Record<string, Record<string, Record<string, Endpoint>>>)[surface]?.[area]?.[
          name
        ]
        expect(known, `${surface}.${area}.${name}`).toMatchObject({ method, path, permission })
        expect(known).not.toHaveProperty('reply')
      }
    }
  }
})
