import { Fault } from '@wheelhouse/contract'
import { native } from '@wheelhouse/contract/native/index'
import { iso, isoOrNull } from '../../kernel/clock/index.ts'
import { sql } from '../../kernel/db/index.ts'
import { serve } from '../../kernel/http/index.ts'
import { floorOf } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'

/** What a page holds in memory need not live longer; it asks for the next one. */
const PAGE_TOKEN_MS = 15 * 60_000

/** Cookies of all surfaces that set one. */
export const SESSION_COOKIES = ['wheelhouse_session', 'cordum_session'] as const

/** The caller's own session. */
export const routes = ({ config, tokens, identity, oidc }: Kernel) =>
  serve('native', native.session, {
    async getSession({ tx, principal }) {
      const tenant = await tx.one<{ id: string; slug: string; name: string }>(
        sql`select id, slug, name from tenants where id = ${principal.tenantId}`,
      )
      const { product, short, byline } = config.naming
      return {
        principal: {
          id: principal.id,
          kind: principal.kind,
          subject: principal.subject,
          name: principal.name,
          email: principal.email ?? null,
          groups: [...principal.groups],
          keyId: principal.keyId ?? null,
        },
        tenant,
        roles: [...principal.roles],
        floor: floorOf(principal),
        grants: principal.grants.map((set) => [...set]),
        expiresAt: isoOrNull(principal.expiresAt),
        naming: { product, short, byline },
        oidc: oidc !== undefined,
      }
    },
    async issueToken({ principal, reply }) {
      const { token, expiresAt } = await tokens.issue(principal, Math.min(PAGE_TOKEN_MS, config.sessions.tokenTtlMs))
      reply.header('Cache-Control', 'no-store')
      return { token, tokenType: 'Bearer' as const, expiresAt: iso(expiresAt) }
    },
    async endSession({ tx, principal, reply, audit }) {
      const { sessionId, tenantId } = principal
      if (sessionId === undefined)
        throw new Fault(
          'RES_CONFLICT',
          {},
          { message: 'You call with a key, which has no session; delete the key instead' },
        )
      const keys = await tx.many<{ id: string }>(sql`select id from api_keys where session_id::text = ${sessionId}`)
      await tx.run(sql`delete from sessions where id::text = ${sessionId}`)
      // The sweep does it again where this fails.
      tx.afterCommit(() => {
        identity
          .cutOff(
            tenantId,
            keys.map(({ id }) => id),
          )
          .catch(() => undefined)
      })
      audit({ resourceId: sessionId })
      for (const name of SESSION_COOKIES) reply.cookie(name, '', 0)
      return null
    },
    async jwks({ reply }) {
      reply.header('Cache-Control', 'public, max-age=300')
      const { keys } = await tokens.jwks()
      return { keys: keys.map((key) => ({ ...key })) }
    },
  })
