import { randomUUID } from 'node:crypto'
import { Fault } from '@wheelhouse/contract'
import { fleet } from '@wheelhouse/contract/fleet/index'
import { type RequestFacts, serve } from '../../kernel/http/index.ts'
import { can } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { guardHost } from '../instances/host-guard.ts'
import { findInstance } from '../instances/tables.ts'
import { pendingReply } from '../commands/pending.ts'
import { addSession, findSession, moveSession, personBehind } from './tables.ts'
import type { TerminalVerb } from './verb.ts'

const WAIT_MS = 15_000

/** Terminals of instances over HTTP; their bytes go over the socket (fleet.md §2, §3.6). */
export const routes = (kernel: Kernel, verb: TerminalVerb) => {
  const { db, clock, agents, jobs, feed, config } = kernel
  return serve('fleet', fleet.terminals, {
    async openTerminal({ principal, params, request, reply, audit }) {
      const row = await db.tenant(principal.tenantId, async (tx) => {
        const found = await findInstance(tx, principal, params.id)
        await guardHost(tx, principal, found)
        return found
      })
      if (row.agentId === null || !(await agents.isConnected(row.agentId)))
        throw new Fault(
          'AGENT_OFFLINE',
          { instanceId: row.id },
          { message: `The agent of '${row.name}' is not connected` },
        )
      // fleet.md §1.4: terminal session ids are UUIDv4. Whoever knows one may still not attach to it.
      const sessionId = randomUUID()
      audit({ resourceId: sessionId, metadata: { instanceId: row.id } })
      const settled = await jobs.submitAndWait(
        principal,
        verb,
        { instanceId: row.id, sessionId },
        {
          waitMs: WAIT_MS,
          signal: request.signal,
          executor: { kind: 'agent', agentId: row.agentId },
          prepare: (tx, { jobId }) =>
            addSession(tx, clock.now(), { id: sessionId, instanceId: row.id, principal, jobId }),
        },
      )
      if (settled.state === 'ended' && settled.end.kind !== 'succeeded')
        throw new Fault('AGENT_OFFLINE', { jobId: settled.jobId }, { message: settled.end.message })
      const websocketUrl = `${baseUrl(config.publicUrl, request)}/ws/terminal/${sessionId}`
      return { sessionId, websocketUrl, ...pendingReply(settled, reply) }
    },

    async closeTerminal({ tx, principal, params, now, audit }) {
      const session = await findSession(tx, params.sessionId)
      audit({ resourceId: params.sessionId, metadata: { reason: 'user_closed' } })
      // Always 200 (fleet.md §2): what is not there, or is somebody else's, is left alone.
      if (session?.instanceId !== params.id) return { ok: true as const }
      if (session.ownerId !== personBehind(principal) && !can(principal, 'terminal:admin')) return { ok: true as const }
      await moveSession(tx, feed, now, session.id, 'CLOSED')
      const { agentId, id } = session
      if (agentId !== null) tx.afterCommit(() => agents.terminals.close(agentId, id))
      return { ok: true as const }
    },
  })
}

/** Where the caller reaches us by WebSocket: the configured address, else the one that it used. */
function baseUrl(publicUrl: string | undefined, request: RequestFacts): string {
  if (publicUrl !== undefined) return publicUrl.replace(/^http/, 'ws').replace(/\/$/, '')
  const secure = request.header('x-forwarded-proto') === 'https'
  return `${secure ? 'wss' : 'ws'}://${request.header('host') ?? 'localhost'}`
}
