import type { Schema } from '../apps/server/src/testing/generate.ts'
import { ask, parsed, prefixed, sample, type Thing } from '../apps/server/src/testing/asking.ts'
import type { TestTenant, World } from '../apps/server/src/testing/world.ts'
import { sideBySide } from './world.ts'

const AT_ONCE = 6

/** Bodies of what generated ones rarely make. */
const BODIES: Readonly<Record<string, object>> = {
  '/api/v1/jobs': { prompt: 'of the other tenant', topic: 'job.other' },
  '/api/v1/artifacts': { content: 'of the other tenant', content_type: 'text/plain' },
  '/api/v1/users': { username: 'somebody', password: 'Test-password-1', role: 'viewer' },
  '/api/v1/admin/roles': { name: 'other-role', pub: {}, sub: {} },
  '/api/v1/workflows': {
    id: 'other-flow',
    name: 'Other',
    steps: { one: { type: 'delay', delay_sec: 3600 } },
  },
  '/api/v1/schemas': { id: 'other-schema', schema: { type: 'object' } },
}

/** Where an object lies that was made, or is listed, elsewhere. */
const ALIASES: Readonly<Record<string, readonly string[]>> = {
  '/api/v1/keys': ['/api/v1/key'],
  '/api/v1/admin/roles': ['/api/v1/admin/role'],
  '/api/v1/jobs': ['/api/v1/approvals', '/api/v1/dlq', '/wheelhouse/api/v1/jobs'],
  '/api/v1/workflows': ['/wheelhouse/api/v1/workflows'],
  '/api/v1/workflow-runs': ['/wheelhouse/api/v1/workflow-runs'],
}

/**
 * Whatever a tenant's administrator can make with generated bodies or sees in the lists, one of a kind. What `stranger` sees under the same
 * id (built-in roles, starter policies) is nobody's secret and left out.
 */
export async function makeThings(
  world: World,
  tenant: TestTenant,
  stranger: TestTenant,
  seed: number,
): Promise<Thing[]> {
  const things: Thing[] = []
  const add = (path: string, id: string): void => {
    for (const each of [path, ...(ALIASES[path] ?? [])])
      if (!things.some((known) => known.path === each)) things.push({ path: each, id })
  }
  const plain = world.http.bound.filter(
    ({ endpoint }) => !endpoint.path.includes('{') && endpoint.permission !== 'public' && !endpoint.kind,
  )
  for (const bound of plain) {
    const { endpoint } = bound
    if (endpoint.method !== 'POST' || !endpoint.body) continue
    const path = prefixed(bound.surface, endpoint.path)
    const given = BODIES[endpoint.path]
    for (let turn = 0; turn < 8; turn++) {
      const body = turn === 0 && given ? given : sample(endpoint.body as Schema, seed + turn, turn < 6)
      const reply = await ask(world, { method: 'POST', path, as: tenant.keys.admin, body: JSON.stringify(body) })
      const id = reply && reply.status < 300 ? idIn(parsed(reply.body)) : undefined
      if (id === undefined) continue
      add(endpoint.path, id)
      break
    }
  }
  // Looks change nothing, and what is found is added in the order of the declarations.
  const lists = plain.filter(({ endpoint }) => endpoint.method === 'GET')
  const found: (string | undefined)[] = []
  await sideBySide(lists.length, AT_ONCE, async (index) => {
    const bound = lists[index]
    if (!bound) return
    const path = prefixed(bound.surface, bound.endpoint.path)
    const look = ({ keys }: TestTenant) => ask(world, { method: 'GET', path, as: keys.admin })
    const [theirs, ours] = await Promise.all([look(tenant), look(stranger)])
    const id = theirs && theirs.status === 200 ? listed(parsed(theirs.body)) : undefined
    if (id !== undefined && ours?.body.includes(JSON.stringify(id)) !== true) found[index] = id
  })
  for (const [index, { endpoint }] of lists.entries()) {
    const id = found[index]
    if (id !== undefined) add(endpoint.path, id)
  }
  return things
}

const NAMED = ['id', 'job_id', 'instanceId', 'artifact_ptr', 'name', 'run_id', 'trace_id'] as const

function idIn(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const record = value as Record<string, unknown>
  for (const name of NAMED) if (typeof record[name] === 'string' && record[name] !== '') return record[name]
  return idIn(record['data'] ?? record['key'] ?? record['instance'] ?? record['job'])
}

/** The id of the first item of the first list in an answer. */
function listed(value: unknown): string | undefined {
  if (Array.isArray(value)) return idIn(value[0])
  if (typeof value !== 'object' || value === null) return undefined
  const list = Object.values(value).find((each) => Array.isArray(each) && each.length > 0)
  return list === undefined ? undefined : listed(list)
}
