import { useNavigate } from '@tanstack/react-router'
import { useMemo } from 'react'
import { useSpans } from '../../api/operations.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { useNow } from '../../ui/clock.ts'
import { PartialLine, SkeletonRows } from '../../ui/states.tsx'
import { Waterfall } from '../../ui/waterfall.tsx'
import { traceRows } from './trace-rows.ts'

/** The whole trace: jobs, decisions, waiting, attempts. */
export function TraceWaterfall(props: { traceId: string; jobId: string }) {
  const spans = useSpans(props.traceId)
  const navigate = useNavigate()
  const now = useNow()
  const rows = useMemo(() => traceRows(spans.data?.spans ?? [], now), [spans.data, now])
  if (spans.isPending) return <SkeletonRows rows={6} />
  if (!spans.data) return <FailureView error={spans.error} what="the trace" onRetry={() => void spans.refetch()} />
  const selected = spans.data.spans.find(({ kind, jobId }) => kind === 'job' && jobId === props.jobId)?.spanId
  return (
    <>
      {spans.data.truncated && <PartialLine>Only the first jobs of this trace are shown.</PartialLine>}
      <Waterfall
        label="Trace"
        head="Job"
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
