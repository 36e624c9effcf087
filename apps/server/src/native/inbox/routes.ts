import { Fault } from '@wheelhouse/contract'
import { native } from '@wheelhouse/contract/native/index'
import { iso, type Instant } from '../../kernel/clock/index.ts'
import { listPage, sql, type Tx } from '../../kernel/db/index.ts'
import { type Bound, serve } from '../../kernel/http/index.ts'
import type { Principal } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { columns, type Row, shown } from './tables.ts'

interface Vote {
  hash: string
  reason?: string
  note?: string
  value?: unknown
}

async function requireRow(tx: Tx, id: string): Promise<Row> {
  const row = await tx.maybe<Row>(sql`select ${columns} from approvals where id::text = ${id}`)
  if (!row) throw new Fault('RES_NOT_FOUND', { kind: 'approval', id }, { message: 'There is no such request' })
  return row
}

/** One inbox over all domains (product.md): each kind is decided through its own door, so that what that door checks holds here too. */
export const routes = ({ db, jobs, workflows }: Kernel): Bound[] => {
  async function decide(principal: Principal, id: string, approved: boolean, vote: Vote) {
    const { tenantId } = principal
    const row = await db.tenant(tenantId, (tx) => requireRow(tx, id))
    if (row.state !== 'open')
      throw new Fault('RES_CONFLICT', { state: row.state }, { message: `It is ${row.state} already` })
    // What was shown is what is voted for: another hash means that something changed in between.
    if (row.hash !== vote.hash)
      throw new Fault(
        'RES_CONFLICT',
        { hash: row.hash },
        { message: 'It has changed since it was shown; look at it again' },
      )
    const words = {
      ...(vote.reason === undefined ? {} : { reason: vote.reason }),
      ...(vote.note === undefined ? {} : { note: vote.note }),
    }
    if (row.kind === 'job') {
      await db.tenant(tenantId, async (tx) => {
        if (approved) await jobs.holds.approve(tx, principal, row.refId, words)
        else await jobs.holds.reject(tx, principal, row.refId, words)
      })
    } else if (row.kind === 'step') {
      const { workflowId, runId, stepId } = shown(row)
      const value = vote.value === undefined ? {} : { value: vote.value }
      await workflows.decide(principal, workflowId ?? '', runId ?? '', stepId ?? '', { approved, ...words, ...value })
    } else throw new Fault('RES_CONFLICT', { kind: row.kind }, { message: `A ${row.kind} is decided on its own page` })
    const after = await db.tenant(tenantId, (tx) => requireRow(tx, id))
    return { id, state: after.state, votes: after.votes, required: after.required }
  }

  return serve('native', native.inbox, {
    listInbox: ({ tx, list }) =>
      listPage<Row, ReturnType<typeof shown>>(
        tx,
        native.inbox.listInbox.list,
        {
          table: 'approvals',
          select: columns,
          where: list.filter === undefined ? [sql`approvals.state = 'open'`] : [],
          map: shown,
        },
        list,
      ),

    async getInboxItem({ tx, params }) {
      const row = await requireRow(tx, params.id)
      const cast = await tx.many<{
        by: string
        role: string
        vote: 'approve' | 'reject'
        reason: string
        note: string
        at: Instant
      }>(
        sql`select principal_name as by, role, vote, reason, note, at from approval_votes where approval_id = ${row.id} order by at limit 200`,
      )
      return { ...shown(row), cast: cast.map((each) => ({ ...each, at: iso(each.at) })) }
    },

    async approve({ principal, params, body, audit }) {
      audit({ resourceId: params.id, metadata: { hash: body.hash, reason: body.reason ?? '' } })
      return decide(principal, params.id, true, body)
    },

    async reject({ principal, params, body, audit }) {
      audit({ resourceId: params.id, metadata: { hash: body.hash, reason: body.reason ?? '' } })
      return decide(principal, params.id, false, body)
    },
  })
}
