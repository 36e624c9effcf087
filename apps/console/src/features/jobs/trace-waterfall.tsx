import { useNavigate } from '@tanstack/react-router'
import { useMemo } from 'react'
import { useSpans, type TraceSpans } from '../../api/operations.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { instant, span } from '../../ui/age.ts'
import { useNow } from '../../ui/clock.ts'
import { PartialLine, SkeletonRows } from '../../ui/states.tsx'
import type { Status } from '../../ui/status.tsx'
import { Waterfall, type WaterfallRow } from '../../ui/waterfall.tsx'
import { topicWords } from './job-state.ts'

type Span = TraceSpans['spans'][number]

/** The whole trace: jobs, decisions, waiting, attempts. */
export function TraceWaterfall(props: { traceId: string; jobId: string }) {
  const spans = useSpans(props.traceId)
  const navigate = useNavigate()
  const now = useNow()
  const rows = useMemo(() => rowsOf(spans.data?.spans ?? [], now), [spans.data, now])
  if (spans.isPending) return <SkeletonRows rows={6} />
  if (!spans.data) return <FailureView error={spans.error} what="the trace" onRetry={() => void spans.refetch()} />
  const selected = spans.data.spans.find(({ kind, jobId }) => kind === 'job' && jobId === props.jobId)?.spanId
  return (
    <>
      {spans.data.truncated && <PartialLine>Only the first jobs of this trace are shown.</PartialLine>}
      <Waterfall
        label="Trace"
        rows={rows}
        now={now}
        selected={selected}
        onSelect={(id) => {
          const jobId = spans.data.spans.find(({ spanId }) => spanId === id)?.jobId
          if (jobId !== undefined && jobId !== props.jobId)
            void navigate({ to: '/jobs/$id', params: { id: jobId }, search: { tab: 'trace' } })
        }}
      />
    </>
  )
}

const STATUS: Record<Span['status'], Status> = { ok: 'ok', error: 'failed', open: 'running' }

function rowsOf(spans: readonly Span[], now: number): WaterfallRow[] {
  const byId = new Map(spans.map((each) => [each.spanId, each]))
  const depthOf = (each: Span): number => {
    let depth = 0
    for (let at = each.parentSpanId; at !== null && depth < 8; at = byId.get(at)?.parentSpanId ?? null) {
      if (byId.has(at)) depth += 1
    }
    return depth
  }
  return spans.map((each): WaterfallRow => {
    const from = instant(each.startedAt) ?? now
    const to = instant(each.endedAt)
    const waits = each.kind === 'queue' || each.kind === 'approval'
    const status: Status = each.kind === 'approval' ? 'waiting' : each.kind === 'queue' ? 'off' : STATUS[each.status]
    return {
      id: each.spanId,
      status,
      name: each.kind === 'job' ? topicWords(each.name) : each.name,
      mono: each.kind === 'job',
      depth: depthOf(each),
      took: span((to ?? now) - from),
      bars: [{ from, to, status, kind: waits ? 'waited' : 'worked', words: each.name }],
    }
  })
}
