import { Type } from 'typebox'
import { area } from '../endpoint.ts'

export const tickets = area({
  createTicket: {
    method: 'POST',
    path: '/api/v1/ws/ticket',
    group: 'WebSocket Tickets',
    summary: 'A ticket that opens one socket within 30 seconds in the name of the caller',
    permission: 'ticket:create',
    floor: 'VIEWER',
    rate: 'fleet-ticket',
    transaction: 'none',
    verb: null,
    reply: Type.Object({ ticket: Type.String(), expires_in: Type.Integer() }),
  },
})
