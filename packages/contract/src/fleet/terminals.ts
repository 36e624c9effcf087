import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Id, Uuid } from '../schemas.ts'
import { ById } from './words.ts'

export const terminals = area({
  openTerminal: {
    method: 'POST',
    path: '/api/v1/instances/{id}/terminal',
    group: 'Instances',
    summary: 'Prepare a terminal on an instance; its socket is opened at the address in the answer',
    permission: 'terminal:open',
    floor: 'DEVELOPER',
    rate: 'fleet-strict',
    params: ById,
    creates: true,
    transaction: 'none',
    verb: 'terminal_session.connect',
    reply: Type.Object({
      sessionId: Uuid,
      websocketUrl: Type.String(),
      // The governed job that lets it open (decisions D5), where it has not ended yet.
      jobId: Type.Optional(Type.String()),
      approvalRequired: Type.Optional(Type.Boolean()),
    }),
    faults: ['RES_NOT_FOUND', 'AGENT_OFFLINE', 'CONTROL_PLANE_GUARDED'],
    beyondDocument: true,
  },
  closeTerminal: {
    method: 'DELETE',
    path: '/api/v1/instances/{id}/terminal/{sessionId}',
    group: 'Instances',
    summary: 'End a terminal of the caller and the shell behind it',
    permission: 'terminal:open',
    floor: 'DEVELOPER',
    rate: 'fleet-strict',
    params: Type.Object({ id: Id, sessionId: Id }),
    verb: 'terminal_session.disconnect',
    reply: Type.Object({ ok: Type.Literal(true) }),
    beyondDocument: true,
  },
})
