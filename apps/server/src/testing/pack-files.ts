import { bundleOf, installBundle } from './pack-bundle.ts'
import type { Answer, World } from './world.ts'

/** What a pack brings. */
export interface PackParts {
  id: string
  version?: string
  schemas?: Record<string, object>
  workflows?: Record<string, object>
  pools?: object
  timeouts?: object
  policy?: Record<string, string>
  more?: object
}

/** A workflow. */
export const STEP = { steps: { wait: { type: 'delay', delay_sec: 1 } }, name: 'w' }

/** The files of a pack; YAML takes JSON. */
export function packOf({
  id,
  version = '1.0.0',
  schemas = {},
  workflows = {},
  pools,
  timeouts,
  policy = {},
  more = {},
}: PackParts) {
  const files: Record<string, string> = {}
  const put = (path: string, content: unknown): string => {
    files[path] = typeof content === 'string' ? content : JSON.stringify(content)
    return path
  }
  const resources = (kind: string, given: Record<string, object>) =>
    Object.entries(given).map(([name, each], n) => ({ id: name, path: put(`${kind}/${n}.json`, each) }))
  put('pack.yaml', {
    metadata: { id, version },
    compatibility: { protocolVersion: 1 },
    resources: { schemas: resources('schemas', schemas), workflows: resources('workflows', workflows) },
    overlays: {
      config: [
        ...(pools ? [{ key: 'pools', path: put('overlays/pools.yaml', pools) }] : []),
        ...(timeouts ? [{ name: 'times', key: 'timeouts', path: put('overlays/timeouts.yaml', timeouts) }] : []),
      ],
      policy: Object.entries(policy).map(([name, text]) => ({ name, path: put(`overlays/${name}.policy.yaml`, text) })),
    },
    ...more,
  })
  return files
}

/** Installs a pack of these parts or files. */
export const installFiles = async (
  world: World,
  files: PackParts | Record<string, string | Buffer>,
  fields: Record<string, string | Uint8Array> = {},
): Promise<Answer> =>
  installBundle(world, await bundleOf('id' in files ? packOf(files as PackParts) : (files as Record<string, string>)), {
    fields,
  })
