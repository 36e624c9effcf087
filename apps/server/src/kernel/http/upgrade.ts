import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { Fault, type Surface } from '@wheelhouse/contract'
import { WebSocketServer } from 'ws'
import type { Bound, RequestFacts, Upgraded } from './context.ts'
import { echoedProtocol } from './credentials.ts'
import { admit, contextOf, type Edge, type Passage, refusal } from './edge.ts'
import { readParts } from './parts.ts'
import { chooseSurface } from './same-path.ts'

export interface UpgradeOptions {
  edge: Edge
  bound: readonly Bound[]
  facts(raw: IncomingMessage, surface: Surface): RequestFacts
  forced(raw: IncomingMessage): Surface | undefined
}

/** fleet.md §3.6: a ping every 30 s, the socket ends after two that were missed. */
const PING_MS = 30_000
/** RFC 6455 §7.4.1. */
const POLICY_VIOLATION = 1008
const MAX_FRAME_BYTES = 4 * 1024 * 1024

interface SocketRoute {
  pattern: RegExp
  names: string[]
  bound: Bound
}

/** Takes WebSocket upgrades of the declared sockets through the same checks as requests; refusals are HTTP answers. */
export function acceptUpgrades(options: UpgradeOptions): {
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
  close(): void
} {
  const { edge } = options
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_FRAME_BYTES,
    handleProtocols: (offered) => echoedProtocol(offered),
  })
  const routes: SocketRoute[] = options.bound
    .filter(({ endpoint }) => endpoint.kind === 'ws')
    .map((bound) => ({
      bound,
      names: [...bound.endpoint.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name),
      pattern: new RegExp(`^${bound.endpoint.path.replace(/\{\w+\}/g, '([^/]+)')}$`),
    }))
  const missed = new WeakMap<object, number>()
  const pings = setInterval(() => {
    for (const socket of server.clients) {
      const count = missed.get(socket) ?? 0
      if (count >= 2) socket.terminate()
      else {
        missed.set(socket, count + 1)
        socket.ping()
      }
    }
  }, PING_MS)
  pings.unref()

  function find(path: string, only: Surface | undefined): { candidates: Bound[]; params: Record<string, string> } {
    const hits = routes.flatMap((route) => {
      const match = route.pattern.exec(path)
      return match && (only === undefined || route.bound.surface === only) ? [{ route, match }] : []
    })
    const [first] = hits
    const params = first
      ? Object.fromEntries(first.route.names.map((name, i) => [name, decodeURIComponent(first.match[i + 1] ?? '')]))
      : {}
    return { candidates: hits.map(({ route }) => route.bound), params }
  }

  async function open(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost')
    const prefixed = /^\/(platform|fleet|release|jobs)(\/(?:api|ws).*)$/.exec(url.pathname)
    const only = options.forced(request) ?? (prefixed?.[1] as Surface | undefined)
    const path = prefixed?.[2] ?? url.pathname
    const query = Object.fromEntries(url.searchParams)
    const { candidates, params } = find(path, only)
    let facts = { ...options.facts(request, only ?? 'fleet'), path }
    let dialect = edge.dialects[facts.surface]
    try {
      if (candidates.length === 0) throw new Fault('RES_ROUTE_NOT_FOUND')
      const bound = chooseSurface(candidates, request.headers, path.slice(path.lastIndexOf('/') + 1))
      facts = { ...facts, surface: bound.surface }
      dialect = edge.dialects[bound.surface]
      const { origin, host } = request.headers
      if (origin !== undefined && !edge.origins.allows(origin, host)) throw new Fault('PERM_ORIGIN')
      const passage: Passage = { bound, dialect, facts, headers: {}, note: {} }
      await admit(edge, passage, request, query, true)
      const parts = readParts(edge.cursorSecret, passage, { params, query, body: undefined })
      const upgraded = (await bound.handler(contextOf(edge, passage, parts))) as Upgraded
      server.handleUpgrade(request, socket, head, (client) => {
        client.on('pong', () => missed.set(client, 0))
        client.on('error', (error) => edge.log.debug({ err: error, path }, 'A socket broke'))
        if (passage.principal) {
          const leave = edge.watch.add(passage.principal, () => client.close(POLICY_VIOLATION, 'credential ended'))
          client.once('close', leave)
        }
        upgraded(client)
      })
    } catch (error) {
      const sent = refusal(edge, error, dialect, facts, {})
      refuse(
        socket,
        sent.status,
        { ...sent.headers, ...errorCode(error) },
        typeof sent.body === 'string' ? sent.body : '',
      )
    }
  }

  return {
    upgrade(request, socket, head) {
      socket.on('error', (error) => edge.log.debug({ err: error }, 'A socket broke before its upgrade'))
      void open(request, socket, head)
    },
    close() {
      clearInterval(pings)
      for (const client of server.clients) client.close(1001, 'server shutting down')
      server.close()
    },
  }
}

/** fleet.md §3.6: a refused upgrade says which kind of failure it was. */
function errorCode(error: unknown): Record<string, string> {
  if (!(error instanceof Fault) || error.status !== 401) return {}
  return { 'X-Error-Code': error.code === 'AUTH_TOKEN_MISSING' ? 'MISSING_AUTH' : 'AUTH_ERROR' }
}

function refuse(
  socket: Duplex,
  status: number,
  headers: Readonly<Record<string, string | string[]>>,
  body: string,
): void {
  const lines = [
    `HTTP/1.1 ${status} Refused`,
    'Connection: close',
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...Object.entries(headers).flatMap(([name, value]) => [value].flat().map((each) => `${name}: ${each}`)),
  ]
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`)
}
