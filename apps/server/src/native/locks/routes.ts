import { native } from '@wheelhouse/contract/native/index'
import { iso } from '../../kernel/clock/index.ts'
import { at, listPage, sql } from '../../kernel/db/index.ts'
import { serve } from '../../kernel/http/index.ts'
import type { Lock } from '../../kernel/locks/index.ts'

/** All locks that are held. */
export const routes = () =>
  serve('native', native.locks, {
    listLocks: ({ tx, list, now }) =>
      listPage(
        tx,
        native.locks.listLocks.list,
        {
          table: 'locks',
          key: 'resource',
          select: sql`resource, mode, owners, token, updated_at as "updatedAt", expires_at as "expiresAt"`,
          where: [sql`expires_at > ${at(now)}`],
          map: (lock: Lock) => ({
            ...lock,
            owners: { ...lock.owners },
            updatedAt: iso(lock.updatedAt),
            expiresAt: iso(lock.expiresAt),
          }),
        },
        list,
      ),
  })
