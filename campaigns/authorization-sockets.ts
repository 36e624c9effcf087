import { setTimeout as pause } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { BUILT_IN_ROLES } from '../packages/contract/src/index.ts'
import { nameOf, pathOf, type Thing } from '../apps/server/src/testing/asking.ts'
import type { World } from '../apps/server/src/testing/world.ts'
import type { Cell } from './authorization-model.ts'
import type { BadCredential, Shown } from './authorization-credentials.ts'
import { mayKey } from './authorization-model.ts'

/** What is not heard so long after it happened is not told. */
const LISTEN_MS = 1_500

/** What became of an upgrade: 101 when it opened, else the status of the refusal; and what the socket hears until it is closed. */
function upgrade(world: World, path: string, { headers = {}, query }: Shown) {
  return new Promise<{ status: number; heard: string[]; close(): void }>((resolve, reject) => {
    const heard: string[] = []
    const url = `${world.url.replace('http', 'ws')}${path}${query === undefined ? '' : `?${query}`}`
    const socket = new WebSocket(url, { headers, handshakeTimeout: 5_000 })
    socket.on('message', (data) => heard.push(String(data)))
    socket.once('open', () => resolve({ status: 101, heard, close: () => socket.terminate() }))
    socket.once('unexpected-response', (request, response) => {
      request.destroy()
      resolve({ status: response.statusCode ?? 0, heard, close: () => undefined })
    })
    socket.once('error', (error) => {
      if (socket.readyState !== WebSocket.CLOSING) reject(error)
    })
  })
}

/** As above, of a socket that is closed again at once. */
async function statusOf(world: World, path: string, shown: Shown): Promise<number> {
  const { status, close } = await upgrade(world, path, shown)
  close()
  return status
}

/** Every declared socket for every role and bad credential, and what a socket hears of another tenant. */
export async function socketCells(
  world: World,
  things: readonly Thing[],
  credentials: readonly BadCredential[],
): Promise<{ cells: Cell[]; last: Cell[] }> {
  const sockets = world.http.bound.filter(({ endpoint }) => endpoint.kind === 'ws')
  const bad = credentials.filter(({ sockets: too }) => too)
  const cells: Cell[] = []
  for (const bound of sockets) {
    const { endpoint, surface } = bound
    const own = pathOf(bound, 1)
    const foreign = pathOf(bound, 1, things)
    for (const role of BUILT_IN_ROLES) {
      const may = mayKey(role, endpoint.permission)
      const headers = { authorization: `Bearer ${world.a.keys[role]}` }
      cells.push({
        kind: 'WebSocket, own tenant',
        async ask() {
          const status = await statusOf(world, own.path, { headers })
          const right = may ? status !== 401 && status !== 403 : status === 403
          return right ? [] : [`${nameOf(bound)} as ${role}: ${status}, ${may ? 'may' : 'may not'}`]
        },
      })
      cells.push({
        kind: 'WebSocket, other tenant',
        async ask() {
          const status = await statusOf(world, foreign.path, { headers })
          if (foreign.ids.length > 0 && status === 101) return [`${nameOf(bound)} as ${role} opened ${foreign.path}`]
          const named = await statusOf(world, own.path, { headers: { ...headers, 'x-tenant-id': world.b.slug } })
          const crosses = role === 'platform-admin'
          return surface === 'jobs' && !crosses && named !== 403
            ? [`${nameOf(bound)} as ${role} with the other tenant named: ${named}`]
            : []
        },
      })
    }
    for (const credential of bad) {
      if (credential.surfaces && !credential.surfaces.includes(surface)) continue
      cells.push({
        kind: 'WebSocket, bad credential',
        async ask() {
          const status = await statusOf(world, own.path, credential)
          return status === 401 ? [] : [`${nameOf(bound)} with ${credential.kind}: ${status}`]
        },
      })
    }
  }
  const heardCell: Cell = {
    kind: 'WebSocket, what is heard',
    async ask() {
      const headers = { authorization: `Bearer ${world.a.keys.admin}` }
      const heard = await Promise.all(
        sockets
          .filter(({ endpoint }) => !endpoint.path.includes('{') && endpoint.permission !== 'agent:connect')
          .map(async (bound) => ({ bound, ...(await upgrade(world, pathOf(bound, 1).path, { headers })) })),
      )
      for (let i = 0; i < 10; i++)
        for (const { keys } of [world.a, world.b])
          await world.call('POST', '/api/v1/jobs', { as: keys.admin, body: { prompt: 'heard', topic: 'job.heard' } })
      await pause(LISTEN_MS)
      for (const { close } of heard) close()
      const { id, slug } = world.b
      const wrong = heard.flatMap(({ bound, heard: frames }) =>
        frames.some((frame) => frame.includes(id) || frame.includes(slug))
          ? [`${nameOf(bound)} tells of the other tenant`]
          : [],
      )
      const stream = heard.find(({ bound }) => bound.endpoint.path === '/api/v1/stream')
      return stream?.heard.length === 0 ? [...wrong, 'the stream told nothing, so that this proves nothing'] : wrong
    },
  }
  return { cells, last: [heardCell] }
}
