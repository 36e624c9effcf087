import { Fault } from '@wheelhouse/contract'
import { runs } from '@wheelhouse/contract/jobs/runs'
import type { Tx } from '../../kernel/db/index.ts'
import { type Bound, type RequestFacts, serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { appendEvent, listEvents } from '../../kernel/memory/index.ts'
import {
  findRun,
  listRuns,
  memoryOf,
  requireMemory,
  readEvents,
  readRun,
  type RunRow,
  shownEvent,
  wasSaved,
} from '../../kernel/workflows/index.ts'
import { capped, micros, microsUpTo } from '../moments.ts'
import { requireOwnTenant } from '../tenants.ts'
import { isYes } from '../yes.ts'
import { CHAT_TOPIC, chatFrame, readMessage, shownMessage } from './chat.ts'

const KEY = /^[\x20-\x7e]{1,200}$/
/** A timeline's newest events in one answer; all of it is read by pages. */
const MOST_EVENTS = 1000

const missing = (): Fault => new Fault('RES_NOT_FOUND', {}, { message: 'not found' })

async function requireRun(tx: Tx, id: string): Promise<RunRow> {
  const row = await findRun(tx, id)
  if (!row) throw missing()
  return row
}

/** jobs.md §8: the header wins over the query. */
function keyOf(
  request: RequestFacts,
  query: { idempotency_key?: string; 'idempotency-key'?: string },
): string | undefined {
  const given =
    request.header('idempotency-key') ??
    request.header('x-idempotency-key') ??
    query.idempotency_key ??
    query['idempotency-key']
  if (given === undefined || given === '') return undefined
  if (!KEY.test(given))
    throw new Fault('VAL_PATTERN', {}, { message: 'idempotency key must be 1 to 200 printable ASCII characters' })
  return given
}

/** jobs.md §8. */
export const routes = ({ workflows, feed }: Kernel): Bound[] =>
  serve('jobs', runs, {
    async startRun({ principal, params, query, body, request, audit }) {
      requireOwnTenant(principal, query.org_id)
      const key = keyOf(request, query)
      const { runId, replayed } = await workflows.startRun(principal, {
        workflowId: params.id,
        input: body,
        dryRun: isYes(query.dry_run),
        ...(query.team_id === undefined ? {} : { teamId: query.team_id }),
        ...(key === undefined ? {} : { key }),
      })
      audit({ resourceId: runId, metadata: { workflowId: params.id, replayed } })
      return { run_id: runId }
    },

    async listRunsOfWorkflow({ tx, params, query, now }) {
      const { items } = await listRuns(tx, { workflowId: params.id }, capped(query.limit ?? 100), now)
      if (items.length === 0 && !(await wasSaved(tx, params.id)))
        throw new Fault('RES_NOT_FOUND', {}, { message: 'workflow not found' })
      return items
    },

    async listRuns({ tx, principal, query, now }) {
      requireOwnTenant(principal, query.org_id)
      const { items, next } = await listRuns(
        tx,
        {
          ...(query.workflow_id === undefined ? {} : { workflowId: query.workflow_id }),
          ...(query.status === undefined ? {} : { status: query.status }),
          ...(query.team_id === undefined ? {} : { teamId: query.team_id }),
          ...(query.cursor === undefined ? {} : { beforeUs: micros(query.cursor) }),
          ...(query.updated_after === undefined ? {} : { afterUs: micros(query.updated_after) }),
          ...(query.updated_before === undefined ? {} : { upToUs: microsUpTo(query.updated_before) }),
        },
        capped(query.limit),
        now,
      )
      return { items, next_cursor: next }
    },

    async getRun({ tx, params, now }) {
      const run = await readRun(tx, params.id, now)
      if (!run) throw missing()
      return run
    },

    async getRunTimeline({ tx, params, query }) {
      const row = await findRun(tx, params.id)
      if (!row) return []
      const events = await readEvents(tx, row.id, { limit: Math.min(query.limit, MOST_EVENTS) })
      return events.map((event) => shownEvent(event, row.id, row.workflowId))
    },

    async getRunChat({ tx, principal, params, query }) {
      const row = await requireRun(tx, params.id)
      const memory = memoryOf(row.id, row.input)
      await requireMemory(tx, principal, memory, [`run:${row.id}`])
      const { items, next } = await listEvents(tx, memory, {
        limit: capped(query.limit),
        ...(query.cursor === undefined ? {} : { cursor: query.cursor }),
      })
      return { items: items.map(({ index, event }) => shownMessage(row.id, index, event)), next_cursor: next }
    },

    async postRunChat({ tx, principal, params, body, now }) {
      const row = await requireRun(tx, params.id)
      const event = readMessage(principal, body, now)
      const index = await appendEvent(tx, memoryOf(row.id, row.input), event)
      const message = shownMessage(row.id, index, event)
      const { tenantId } = tx
      tx.afterCommit(() => feed.publishLive(tenantId, CHAT_TOPIC, chatFrame(message)))
      return message
    },

    async rerunRun({ principal, params, body, audit }) {
      const { runId } = await workflows.rerun(principal, params.id, {
        ...(body.from_step === undefined || body.from_step === '' ? {} : { fromStep: body.from_step }),
        ...(body.dry_run === undefined ? {} : { dryRun: body.dry_run }),
        ...(body.input === undefined ? {} : { input: body.input }),
      })
      audit({ resourceId: runId, metadata: { rerunOf: params.id, fromStep: body.from_step ?? null } })
      return { run_id: runId }
    },

    async deleteRun({ tx, params }) {
      if (!(await workflows.remove(tx, params.id))) throw missing()
      return null
    },

    async cancelRun({ principal, params, audit }) {
      audit({ resourceId: params.run_id })
      const there = await workflows.cancel(principal.tenantId, params.id, params.run_id, 'workflow run cancelled')
      if (!there) throw new Fault('VAL_SCHEMA', {}, { message: 'run not found' })
      return null
    },

    async approveStep({ principal, params, body, audit }) {
      audit({ resourceId: params.run_id, metadata: { stepId: params.step_id, approved: body.approved } })
      await workflows.decide(principal, params.id, params.run_id, params.step_id, body)
      return null
    },
  })
