import { Fault } from '@wheelhouse/contract'
import type { BulkOperation } from '@wheelhouse/contract/native/bulk'
import { native } from '@wheelhouse/contract/native/index'
import { iso } from '../../kernel/clock/index.ts'
import { listPage, sql } from '../../kernel/db/index.ts'
import { serve } from '../../kernel/http/index.ts'
import type { Principal } from '../../kernel/identity/index.ts'
import { bulkColumns, type BulkFilter, type BulkRow, type BulkVerb } from '../../kernel/jobs/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'

/** From so many on the count must be confirmed. */
const CONFIRM_FROM = 100

const shown = (row: BulkRow): BulkOperation => ({
  ...row,
  createdAt: iso(row.createdAt),
  updatedAt: iso(row.updatedAt),
})

interface Asked {
  dryRun?: boolean
  confirmCount?: number
  reason?: string
}

/** The count that was seen must still be nearly the count that there is. */
function confirm(count: number, { confirmCount }: Asked): void {
  if (confirmCount === undefined) {
    if (count < CONFIRM_FROM) return
    throw new Fault(
      'VAL_REQUIRED',
      { count },
      { message: `${count} would be touched; repeat with confirmCount: ${count} to go on` },
    )
  }
  if (Math.abs(count - confirmCount) > Math.max(5, confirmCount / 10))
    throw new Fault(
      'RES_CONFLICT',
      { count, confirmCount },
      { message: `${count} match now, ${confirmCount} were confirmed; look again before you go on` },
    )
}

/** One act on many jobs. */
export const routes = ({ db, jobs }: Kernel) => {
  async function act(principal: Principal, verb: BulkVerb, filter: BulkFilter, asked: Asked) {
    return db.tenant(principal.tenantId, async (tx) => {
      const found = await jobs.bulk.count(tx, verb, filter)
      if (asked.dryRun) return { dryRun: true, ...found, operation: null }
      confirm(found.count, asked)
      const row = await jobs.bulk.start(tx, principal, { verb, filter, reason: asked.reason ?? '', count: found.count })
      return { dryRun: false, ...found, operation: shown(row) }
    })
  }

  const acting =
    (verb: BulkVerb) =>
    async ({
      principal,
      body,
      audit,
    }: {
      principal: Principal
      body: Asked & { filter: BulkFilter }
      audit(note: { resourceId?: string; metadata?: Record<string, unknown> }): void
    }) => {
      const { filter, ...asked } = body
      const done = await act(principal, verb, filter, asked)
      audit({
        ...(done.operation ? { resourceId: done.operation.id } : {}),
        metadata: { filter, count: done.count, dryRun: done.dryRun, reason: asked.reason ?? '' },
      })
      return done
    }

  return serve('native', native.bulk, {
    cancelJobs: acting('cancel'),
    retryJobs: acting('retry'),
    replayJobs: acting('replay'),
    retryDeadLetters: acting('dead-letter-retry'),
    deleteDeadLetters: acting('dead-letter-delete'),
    listBulk: ({ tx, list }) =>
      listPage(
        tx,
        native.bulk.listBulk.list,
        { table: 'bulk_operations', select: bulkColumns, map: (row: BulkRow) => shown(row) },
        list,
      ),
    async getBulk({ tx, params }) {
      const row = await tx.maybe<BulkRow>(sql`select ${bulkColumns} from bulk_operations where id::text = ${params.id}`)
      if (!row) throw new Fault('RES_NOT_FOUND', { kind: 'bulk', id: params.id })
      return shown(row)
    },
    async stopBulk({ tx, principal, params }) {
      const row = await jobs.bulk.stop(tx, principal, params.id)
      if (!row) throw new Fault('RES_NOT_FOUND', { kind: 'bulk', id: params.id })
      return shown(row)
    },
  })
}
