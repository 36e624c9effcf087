import { fleet } from '@wheelhouse/contract/fleet/index'
import { serve } from '../../kernel/http/index.ts'
import { issueTicket } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'

/** fleet.md §2, WebSocket Tickets: single use, 30 s. It is asked for before the client says which socket it opens. */
export const routes = ({ db, clock }: Kernel) =>
  serve('fleet', fleet.tickets, {
    async createTicket({ principal, reply }) {
      const { ticket, expiresInS } = await issueTicket(db, clock, principal, '*')
      reply.header('Cache-Control', 'no-store')
      return { ticket, expires_in: expiresInS }
    },
  })
