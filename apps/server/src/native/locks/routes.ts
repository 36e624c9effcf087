import { native } from '@wheelhouse/contract/native/index'
import { iso } from '../../kernel/clock/index.ts'
import { at, listPage, sql } from '../../kernel/db/index.ts'
import { serve } from '../../kernel/http/index.ts'
import { type Lock, lockColumns } from '../../kernel/locks/index.ts'

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
          select: lockColumns,
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
