import { Fault } from '@wheelhouse/contract'
import { native } from '@wheelhouse/contract/native/index'
import { iso, type Instant } from '../../kernel/clock/index.ts'
import { at, listPage, sql } from '../../kernel/db/index.ts'
import { type Bound, serve } from '../../kernel/http/index.ts'
import { publicKeyOf } from '../../kernel/jobs/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'

interface Row {
  workerId: string
  publicKey: string
  createdAt: Instant
}

const columns = sql`worker_keys.worker_id as "workerId", worker_keys.public_key as "publicKey", worker_keys.created_at as "createdAt"`
const shown = ({ workerId, publicKey, createdAt }: Row) => ({ workerId, publicKey, createdAt: iso(createdAt) })

/** Public keys of workers (jobs.md §29.5). */
export const routes = ({ bus }: Kernel): Bound[] =>
  serve('native', native.workerKeys, {
    list: ({ tx, list }) =>
      listPage<Row, ReturnType<typeof shown>>(
        tx,
        native.workerKeys.list.list,
        { table: 'worker_keys', key: 'worker_id', select: columns, map: shown },
        list,
      ),
    async put({ tx, params, body, now, audit }) {
      const row = await tx.one<Row>(sql`
        insert into worker_keys (tenant_id, worker_id, public_key, created_at)
        values (${tx.tenantId}, ${params.worker}, ${publicKeyOf(body.publicKey)}, ${at(now)})
        on conflict (tenant_id, worker_id) do update set public_key = excluded.public_key, created_at = excluded.created_at
        returning ${columns}`)
      audit({ resourceId: params.worker, after: shown(row) })
      tx.afterCommit(() => bus.wake('worker-keys'))
      return shown(row)
    },
    async remove({ tx, params, audit }) {
      const gone = await tx.run(sql`delete from worker_keys where worker_id = ${params.worker}`)
      if (gone === 0) throw new Fault('RES_NOT_FOUND', { kind: 'worker-key', id: params.worker })
      audit({ resourceId: params.worker })
      tx.afterCommit(() => bus.wake('worker-keys'))
      return null
    },
  })
