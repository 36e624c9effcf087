import { native } from '@wheelhouse/contract/native/index'
import { createJoinToken, redeemJoinToken } from '../../kernel/agents/index.ts'
import { record } from '../../kernel/audit/index.ts'
import { iso } from '../../kernel/clock/index.ts'
import { originOf, serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'

/** The host's name where it gives none. */
const UNNAMED = 'host'

/** How another host joins. */
export const routes = (kernel: Kernel) => {
  const { db, clock, config } = kernel
  return serve('native', native.join, {
    async createToken({ tx, principal, body, now, request, reply, audit }) {
      const { name, labels, expiresInMinutes } = body
      const { id, token, expiresAt } = await createJoinToken(tx, now, principal, {
        ...(name === undefined ? {} : { name }),
        ...(labels === undefined ? {} : { labels }),
        ...(expiresInMinutes === undefined ? {} : { lifeMs: expiresInMinutes * 60_000 }),
      })
      reply.header('Cache-Control', 'no-store')
      audit({ resourceId: id, after: { name, labels, expiresAt: iso(expiresAt) } })
      const line = `wheelhouse agent join --url ${originOf(config, request)} --token ${token}${name === undefined ? '' : ` --name ${name}`}`
      return { id, token, expiresAt: iso(expiresAt), line }
    },
    async join({ body, request, reply, now }) {
      const { agentId, name, token, tenantId } = await redeemJoinToken(db, clock, body.token, body.name ?? UNNAMED)
      await db.tenant(tenantId, (tx) =>
        record(tx, {
          at: now,
          actor: { kind: 'agent', id: agentId, name, onBehalfOf: [] },
          verb: 'agent.join',
          resourceKind: 'agent',
          resourceId: agentId,
          outcome: 'ok',
          ip: request.ip,
          userAgent: request.userAgent,
          requestId: request.id,
          traceId: request.traceId,
        }),
      )
      reply.header('Cache-Control', 'no-store')
      return { agentId, name, token, tenantId, url: originOf(config, request) }
    },
  })
}
