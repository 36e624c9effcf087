import type { TraceSpans } from '../../api/operations.ts'
import { instant, span } from '../../ui/age.ts'
import type { Status } from '../../ui/status.tsx'
import type { WaterfallRow } from '../../ui/waterfall.tsx'
import { decisionWord } from '../policy/decision-words.ts'
import { decisionState, topicWords } from './job-state.ts'
import type { Decision } from '../../api/wire.ts'

type Span = TraceSpans['spans'][number]

const STATUS: Record<Span['status'], Status> = { ok: 'ok', error: 'failed', open: 'running' }

/** The spans of a trace as rows: what belongs to a job stands under it, each in the order of its beginning. */
export function traceRows(spans: readonly Span[], now: number): WaterfallRow[] {
  const known = new Set(spans.map((each) => each.spanId))
  const below = new Map<string | null, Span[]>()
  for (const each of spans) {
    // One whose parent is beyond the bound stands at the root.
    const parent = each.parentSpanId !== null && known.has(each.parentSpanId) ? each.parentSpanId : null
    below.set(parent, [...(below.get(parent) ?? []), each])
  }
  const rows: WaterfallRow[] = []
  const add = (parent: string | null, depth: number): void => {
    for (const each of below.get(parent) ?? []) {
      rows.push(rowOf(each, depth, now))
      add(each.spanId, depth + 1)
    }
  }
  add(null, 0)
  return rows
}

function rowOf(each: Span, depth: number, now: number): WaterfallRow {
  const from = instant(each.startedAt) ?? now
  const to = instant(each.endedAt)
  const waits = each.kind === 'queue' || each.kind === 'approval'
  const status = statusOf(each)
  const name = nameOf(each)
  return {
    id: each.spanId,
    status,
    name,
    mono: each.kind === 'job' || each.kind === 'run',
    depth,
    took: span((to ?? now) - from),
    bars: [{ from, to, status, kind: waits ? 'waited' : 'worked', words: name }],
  }
}

const policyOf = (each: Span) => decisionState(decisionWord(each.name) as Decision)

function statusOf(each: Span): Status {
  if (each.kind === 'approval') return 'waiting'
  if (each.kind === 'queue') return 'off'
  return each.kind === 'policy' ? (policyOf(each)?.status ?? STATUS[each.status]) : STATUS[each.status]
}

/** A job of a step bears the step's name: the steps of a run often share one topic. */
function nameOf(each: Span): string {
  if (each.kind === 'job') {
    const [, step] = /:([^:]+)@\d+$/.exec(each.jobId) ?? []
    return step ? `${topicWords(each.name)} ${step}` : topicWords(each.name)
  }
  if (each.kind === 'policy') return `Policy: ${policyOf(each)?.word.toLowerCase() ?? each.name}`
  if (each.kind === 'queue') return 'Waited for a slot'
  return each.kind === 'approval' ? 'Waited for a person' : each.name
}
