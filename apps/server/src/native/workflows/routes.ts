import { Fault } from '@wheelhouse/contract'
import { native } from '@wheelhouse/contract/native/index'
import { iso } from '../../kernel/clock/index.ts'
import { listPage, sql, type Tx } from '../../kernel/db/index.ts'
import { type Bound, type Context, serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import {
  checkWorkflow,
  countRuns,
  eventColumns,
  type EventRow,
  findVersion,
  findWorkflow,
  layersOf,
  type Plan,
  runHead,
  runWord,
  shownChild,
  shownWorkflow,
  stepColumns,
  stepOf,
  type StepRow,
  whyRun,
} from '../../kernel/workflows/index.ts'
import { followRun } from './follow.ts'

const DAY_MS = 24 * 3_600_000

const missing = (what: string): Fault => new Fault('RES_NOT_FOUND', {}, { message: `${what} not found` })

function shapeOf(plan: Plan) {
  const layers = layersOf(plan)
  const layerOf = new Map(layers.flatMap((ids, layer) => ids.map((id): [string, number] => [id, layer])))
  return {
    layers,
    nodes: Object.values(plan.nodes).map(({ id, name, action, each, loop }) => ({
      id,
      name,
      kind: action.kind,
      ...(action.kind === 'job' ? { topic: action.job.topic } : {}),
      layer: layerOf.get(id) ?? 0,
      each: each !== undefined,
      loop: loop !== undefined,
    })),
    edges: [
      ...plan.edges.map(({ from, to, on, condition }) => ({
        from,
        to,
        on,
        ...(condition === undefined ? {} : { condition }),
      })),
      ...Object.values(plan.nodes).flatMap(({ id, onError }) =>
        onError.kind === 'goto' ? [{ from: id, to: onError.to, on: 'failure' as const }] : [],
      ),
    ],
  }
}

async function requireRun(tx: Tx, id: string): Promise<void> {
  if (!(await runHead(tx, id))) throw missing('run')
}

/** What the console needs of workflows and runs beside the documented calls. */
export const routes = (kernel: Kernel): Bound[] =>
  serve('native', native.workflows, {
    async validateWorkflow({ body }) {
      const { problems, plan } = checkWorkflow(body)
      return { problems: problems.map((each) => ({ ...each })), plan: plan ? shapeOf(plan) : null }
    },

    async workflowPlan({ tx, params, query }) {
      const revision = query.revision ?? (await findWorkflow(tx, params.id))?.revision
      const version = revision === undefined ? undefined : await findVersion(tx, params.id, revision)
      if (!version) throw missing('workflow')
      return shapeOf(version.plan)
    },

    listWorkflowVersions: ({ tx, params, list }) =>
      listPage(
        tx,
        native.workflows.listWorkflowVersions.list,
        {
          table: 'workflow_versions',
          key: 'revision',
          within: sql`workflow_versions.workflow_id = ${params.id}`,
          select: sql`revision, definition ->> 'version' as version, saved_at as "savedAt", saved_by as "savedBy", digest`,
          map: (row: { revision: number; version: string; savedAt: number; savedBy: string; digest: string }) => ({
            ...row,
            id: `${params.id}@${row.revision}`,
            savedAt: iso(row.savedAt),
          }),
        },
        list,
      ),

    async getWorkflowVersion({ tx, principal, params }) {
      const version = await findVersion(tx, params.id, Number(params.revision))
      if (!version) throw missing('version')
      return shownWorkflow(version, principal.tenantSlug)
    },

    async listStepChildren({ tx, params, list }) {
      await requireRun(tx, params.id)
      return listPage(
        tx,
        native.workflows.listStepChildren.list,
        {
          table: 'run_steps',
          key: 'key',
          within: sql`run_steps.run_id = ${params.id} and run_steps.node_id = ${params.step} and run_steps.child_index is not null`,
          columns: { index: sql`run_steps.child_index` },
          select: stepColumns,
          map: (row: StepRow) => ({ id: row.key, ...shownChild(stepOf(row)) }),
        },
        list,
      )
    },

    async listRunEvents({ tx, params, list }) {
      await requireRun(tx, params.id)
      return listPage(
        tx,
        native.workflows.listRunEvents.list,
        {
          table: 'run_events',
          key: 'seq',
          within: sql`run_events.run_id = ${params.id}`,
          columns: { stepId: sql`run_events.step_key` },
          select: eventColumns,
          map: ({ seq, at, stepKey, ...rest }: EventRow) => ({
            id: String(seq),
            seq,
            time: iso(at),
            stepId: stepKey,
            ...rest,
          }),
        },
        list,
      )
    },

    // The context stays whole: its stream opens with the first touch, and a run that is not there is refused before that.
    async streamRun(context: Context<typeof native.workflows.streamRun>) {
      const { principal, params, query, request } = context
      const { tenantId } = principal
      await kernel.db.tenant(tenantId, (tx) => requireRun(tx, params.id))
      const after = Number(request.header('last-event-id') ?? query.after ?? 0)
      await followRun(kernel, tenantId, params.id, Number.isSafeInteger(after) && after > 0 ? after : 0, context.stream)
    },

    async runCounts({ tx, query, now }) {
      const rows = await countRuns(tx, now - (query.days ?? 7) * DAY_MS)
      return {
        workflows: [...Map.groupBy(rows, ({ workflowId }) => workflowId)].map(([workflowId, mine]) => {
          const counts: Record<string, number> = {}
          for (const { status, n } of mine) counts[runWord(status)] = (counts[runWord(status)] ?? 0) + n
          const last = Math.max(...mine.map(({ lastUs }) => lastUs))
          return { workflowId, counts, lastRunAt: iso(Math.floor(last / 1000)) }
        }),
      }
    },

    async whyRun({ tx, params, now }) {
      const why = await whyRun(tx, params.id, now)
      if (!why) throw missing('run')
      return why
    },
  })
