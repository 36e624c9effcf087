import { platform } from '@wheelhouse/contract/platform/index'
import type { Tx } from '../../kernel/db/index.ts'
import { serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { changeKey, endKey, listOwnKeys, makeKey, shown } from './service.ts'

/** platform.md §3.2. */
export const routes = ({ identity, log }: Kernel) => {
  /** The sweep does it again where this fails. */
  const cutOff = (tx: Tx, tenantId: string, keyId: string): void =>
    tx.afterCommit(() => {
      identity
        .cutOff(tenantId, [keyId])
        .catch((error: unknown) => log.warn({ err: error, keyId }, 'A key could not be cut off yet'))
    })

  return serve('platform', platform.keys, {
    async createKey({ tx, principal, now, body, reply, audit }) {
      const { key, token, account } = await makeKey(identity, { tx, principal, now }, body)
      reply.header('Cache-Control', 'no-store')
      audit({ resourceId: key.id, after: shown(key, account) })
      return { ...shown(key, account), token }
    },
    listKeys: ({ tx, principal, now }) => listOwnKeys(identity, { tx, principal, now }),
    async updateKey({ tx, principal, now, params, body, audit }) {
      const { before, after, narrowed } = await changeKey(identity, { tx, principal, now }, params.id, body)
      audit({ resourceId: after.id, before, after })
      if (narrowed) cutOff(tx, principal.tenantId, after.id)
      else tx.afterCommit(() => identity.changed())
      return after
    },
    async deleteKey({ tx, principal, now, params, audit }) {
      const key = await endKey({ tx, principal, now }, params.id)
      audit({ resourceId: key.id, before: { name: key.name, kind: key.kind } })
      cutOff(tx, principal.tenantId, key.id)
      return { deleted: key.id }
    },
  })
}
