import { Link, useNavigate, useParams } from '@tanstack/react-router'
import { RotateCw, Square } from 'lucide-react'
import { useMemo } from 'react'
import { useCancelJob, useDecisions, useJob, useRemediate, useTrace } from '../../api/jobs.ts'
import { useWhyJob } from '../../api/operations.ts'
import { useJobOutput, type JobOutput } from '../../api/job-output.ts'
import type { JobDetail } from '../../api/wire.ts'
import { ActButton } from '../../app/act-button.tsx'
import { useRefusal } from '../../app/allowed.ts'
import { usePageName } from '../../app/crumbs.ts'
import { failureToast } from '../../app/failure-toast.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { useUrlState } from '../../app/url-state.ts'
import { instant, sentence } from '../../ui/age.ts'
import { Banner, Note } from '../../ui/banner.tsx'
import { Button } from '../../ui/button.tsx'
import { CodeBlock, JsonView } from '../../ui/code-block.tsx'
import { cx } from '../../ui/cx.ts'
import { Feed } from '../../ui/feed.tsx'
import { LogView } from '../../ui/log-view.tsx'
import { FactsLine, KeyValues, ObjectHeader, Page, Section } from '../../ui/page.tsx'
import { ProgressBar } from '../../ui/sparkline.tsx'
import { PartialLine, SkeletonRows } from '../../ui/states.tsx'
import { StatusPill } from '../../ui/status.tsx'
import { Tabs, tabPanel } from '../../ui/tabs.tsx'
import { Age } from '../../ui/time.tsx'
import { toast } from '../../ui/toast.tsx'
import { streamedLines } from '../instance/output-lines.ts'
import { JobDecisions } from './job-decisions.tsx'
import { isTerminal, jobState, submittedAt, topicWords } from './job-state.ts'
import { jobTimeline } from './job-timeline.ts'
import { TraceWaterfall } from './trace-waterfall.tsx'
import { whyLines } from './why-lines.ts'

const TABS = ['output', 'input', 'policy', 'timeline', 'trace'] as const
type JobTab = (typeof TABS)[number]
const TAB_WORDS: Record<JobTab, string> = {
  output: 'Output',
  input: 'Input',
  policy: 'Policy',
  timeline: 'Timeline',
  trace: 'Trace',
}

/** One job: how it stands, why, what went in, what came out. */
export function JobPage() {
  const { id = '' } = useParams({ strict: false }) as { id?: string }
  const job = useJob(id)
  const [url, setUrl] = useUrlState()
  const tab = TABS.find((each) => each === url['tab']) ?? 'output'
  usePageName({ label: 'Jobs', to: '/jobs' }, { label: job.data ? topicWords(job.data.topic) : id, mono: true })
  if (job.isPending) return <SkeletonRows rows={10} />
  if (!job.data) {
    return (
      <>
        <h1 className="sr-only">Job {id}</h1>
        <FailureView error={job.error} what="the job" onRetry={() => void job.refetch()} />
      </>
    )
  }
  return (
    <JobView
      job={job.data}
      readAt={job.dataUpdatedAt}
      tab={tab}
      onTab={(next) => setUrl({ tab: next === 'output' ? undefined : next }, true)}
    />
  )
}

function JobView(props: { job: JobDetail; readAt: number; tab: JobTab; onTab: (tab: JobTab) => void }) {
  const { job, tab } = props
  const { status, word } = jobState(job.state)
  const stream = useJobOutput(job.id)
  const decisions = useDecisions(job.id)
  const trace = useTrace(job.trace_id)
  const own = trace.data?.find((record) => record.id === job.id)
  const updatedAt = instant(own?.updated_at)
  const timeline = useMemo(
    () => jobTimeline(job, updatedAt, decisions.data ?? [], stream.states),
    [job, updatedAt, decisions.data, stream.states],
  )
  const submitted = submittedAt(job.id)
  const others = (trace.data ?? []).filter((record) => record.id !== job.id)
  return (
    <Page>
      <ObjectHeader
        status={status}
        name={topicWords(job.topic)}
        mono
        pill={<StatusPill status={status}>{word}</StatusPill>}
        verbs={<Verbs job={job} />}
        facts={
          <FactsLine
            facts={[
              { name: 'job', value: job.id, mono: true },
              job.actor_id ? { name: 'asked by', value: job.actor_id } : undefined,
              submitted !== undefined && { name: 'submitted', value: <Age at={submitted} suffix=" ago" /> },
              job.attempts ? { name: 'tries', value: job.attempts } : undefined,
              job.trace_id ? { name: 'trace', value: job.trace_id, mono: true } : undefined,
              job.run_id
                ? {
                    name: 'run',
                    value: (
                      <Link
                        to="/runs/$id"
                        params={{ id: job.run_id }}
                        search={{ step: job.step_id }}
                        className="hover:underline"
                      >
                        {job.run_id}
                      </Link>
                    ),
                    mono: true,
                  }
                : undefined,
            ]}
          />
        }
      >
        <Tabs
          id="job"
          label="Parts of the job"
          keys
          className="-mx-4 border-b-0 px-[7px] wide:-ml-5 wide:px-[11px]"
          value={tab}
          onChange={props.onTab}
          tabs={TABS.map((value) => ({
            value,
            label: TAB_WORDS[value],
            count:
              value === 'policy'
                ? decisions.data?.length
                : value === 'trace' && others.length > 0
                  ? others.length
                  : undefined,
          }))}
        />
      </ObjectHeader>
      <WhyBanner job={job} />
      <div
        {...tabPanel('job', tab)}
        className="flex min-h-0 flex-1 flex-col overflow-y-auto focus-visible:-outline-offset-2"
      >
        {tab === 'output' && <Output job={job} stream={stream} />}
        {tab === 'input' && (
          <div className="grid grid-cols-[minmax(0,1fr)] items-start gap-4 p-4 wide:p-5 roomy:grid-cols-[minmax(0,1fr)_var(--aside-w)]">
            {job.context === null ? (
              <Note status="unknown">The input is not kept any more.</Note>
            ) : (
              <JsonView label="Input" value={job.context} maxHeight={640} />
            )}
            <JobFacts job={job} />
          </div>
        )}
        {tab === 'policy' && <JobDecisions id={job.id} />}
        {tab === 'timeline' && (
          <div className="py-4 wide:px-2">
            <Feed
              label="Timeline"
              entries={timeline.map((entry) => ({
                id: entry.id,
                at: entry.at,
                status: entry.status,
                words: (
                  <>
                    <b>{entry.what}</b> {entry.detail}{' '}
                    {entry.rule && <span className="mono text-ink-3">{entry.rule}</span>}
                  </>
                ),
              }))}
            />
          </div>
        )}
        {tab === 'trace' && <TraceWaterfall traceId={job.trace_id} jobId={job.id} />}
      </div>
    </Page>
  )
}

/** Why it waits, was denied or failed: one line, at the top. */
function WhyBanner(props: { job: JobDetail }) {
  const { job } = props
  const why = useWhyJob(job.id, !isTerminal(job.state) && job.state !== 'APPROVAL_REQUIRED')
  const rule = job.safety_rule_id && (
    <>
      {' '}
      Rule <span className="mono">{job.safety_rule_id}</span>.
    </>
  )
  if (job.state === 'APPROVAL_REQUIRED') {
    return (
      <Banner
        edge
        status="waiting"
        title="Waits for an approval"
        acts={
          <Link to="/inbox" search={{ job: job.id }} className="font-medium text-accent-text hover:underline">
            Open in the inbox
          </Link>
        }
      >
        {sentence(job.safety_reason)}
        {rule} It starts by itself when it is approved.
      </Banner>
    )
  }
  if (job.state === 'DENIED') {
    return (
      <Banner edge status="denied" title={job.approval_by ? `Rejected by ${job.approval_by}` : 'Denied by policy'}>
        {sentence(job.approval_reason ?? job.safety_reason ?? job.error_message)}
        {rule} Nothing was changed.
      </Banner>
    )
  }
  if (job.state === 'FAILED' || job.state === 'TIMEOUT') {
    return (
      <Banner
        edge
        status="failed"
        title={job.error_message ?? (job.state === 'TIMEOUT' ? 'It took longer than allowed' : 'It failed')}
      >
        {job.error_code && (
          <>
            Code <span className="mono">{job.error_code}</span>.{' '}
          </>
        )}
        {job.last_state && `It was ${job.last_state.toLowerCase()} before.`}
      </Banner>
    )
  }
  const waits = why.data?.waitsFor.find(({ kind }) => kind !== 'running')
  if (!why.data || why.data.ended || !waits) return null
  return (
    <Banner
      edge
      status="waiting"
      title={sentence(why.data.summary)}
      acts={
        waits.kind === 'paused' && (
          <Link to="/jobs/queues" className="font-medium text-accent-text hover:underline">
            Open the queues
          </Link>
        )
      }
    >
      {whyLines(why.data).map((line) => (
        <p key={line}>{line}</p>
      ))}
    </Banner>
  )
}

function Output(props: { job: JobDetail; stream: JobOutput }) {
  const { job, stream } = props
  const lines = useMemo(() => streamedLines(stream.chunks), [stream.chunks])
  const result = job.result as { stdout?: unknown; stderr?: unknown } | null
  const text = typeof job.result === 'string' ? job.result : typeof result?.stdout === 'string' ? result.stdout : ''
  const errors = typeof result?.stderr === 'string' ? result.stderr : ''
  const shown = job.result !== null && job.result !== undefined && typeof job.result !== 'string'
  const { progress } = stream
  return (
    <>
      {progress && !isTerminal(job.state) && (
        <div className="flex flex-none items-center gap-3 border-b border-line-1 px-5 py-2 text-s2 text-ink-2">
          <ProgressBar percent={progress.percent} />
          {progress.percent !== undefined && <span className="num">{Math.round(progress.percent)} %</span>}
          <span className="truncate">{progress.message}</span>
        </div>
      )}
      {stream.gap && <PartialLine>Some of the output is gone: it was more than is kept.</PartialLine>}
      {lines.length > 0 ? (
        <LogView label="Output" lines={lines} wrap levels={false} className="min-h-72" />
      ) : text === '' && errors === '' ? (
        shown ? null : (
          <p className="flex-none bg-well px-5 py-4 text-s2 text-ink-3">
            {isTerminal(job.state) ? 'It wrote nothing.' : 'Nothing written yet. Output appears here as it comes.'}
          </p>
        )
      ) : (
        <div className="flex flex-col gap-4 p-4 wide:p-5">
          {text !== '' && <CodeBlock label="Output" text={text} maxHeight={520} wrap />}
          {errors !== '' && <CodeBlock title="Errors" label="Errors" text={errors} maxHeight={260} wrap />}
        </div>
      )}
      {shown && (
        <div
          className={cx(
            'flex-none p-4 wide:p-5',
            (lines.length > 0 || text !== '' || errors !== '') && 'border-t border-line-1',
          )}
        >
          <JsonView title="Result" label="Result" value={job.result} maxHeight={320} />
        </div>
      )}
    </>
  )
}

function JobFacts(props: { job: JobDetail }) {
  const { job } = props
  return (
    <aside aria-label="Facts" className="h-fit rounded-r3 border border-line-1 bg-surface-2">
      <Section title="Facts">
        <KeyValues
          rows={[
            { name: 'topic', value: job.topic ?? '', mono: true },
            job.capability ? { name: 'capability', value: job.capability, mono: true } : undefined,
            job.risk_tags?.length ? { name: 'risk', value: job.risk_tags.join(', ') } : undefined,
            job.requires?.length ? { name: 'requires', value: job.requires.join(', ') } : undefined,
            job.idempotency_key ? { name: 'key', value: job.idempotency_key, mono: true } : undefined,
            job.safety_job_hash ? { name: 'hash', value: job.safety_job_hash, mono: true } : undefined,
            job.context_ptr ? { name: 'input at', value: job.context_ptr, mono: true } : undefined,
            job.result_ptr ? { name: 'result at', value: job.result_ptr, mono: true } : undefined,
          ]}
        />
      </Section>
      {Object.keys(job.labels ?? {}).length > 0 && (
        <Section title="Labels">
          <KeyValues
            rows={Object.entries(job.labels).map(([name, value]) => ({ name, value, mono: true }))}
            nameWidth={140}
          />
        </Section>
      )}
    </aside>
  )
}

function Verbs(props: { job: JobDetail }) {
  const { job } = props
  const refusal = useRefusal()
  const navigate = useNavigate()
  const cancel = useCancelJob(job.id)
  const remediate = useRemediate(job.id)
  const refused = refusal('jobs', 'POST', '/api/v1/jobs/{id}/cancel')
  const off = refused ?? (isTerminal(job.state) ? 'It has ended.' : undefined)
  return (
    <>
      {(job.safety_remediations ?? []).map((remediation) => (
        <Button
          key={remediation.id ?? remediation.title}
          icon={RotateCw}
          busy={remediate.isPending}
          off={refusal('jobs', 'POST', '/api/v1/jobs/{id}/remediate')}
          title={remediation.summary}
          onClick={() =>
            void remediate
              .mutateAsync(remediation.id)
              .then(
                ({ job_id }) => navigate({ to: '/jobs/$id', params: { id: job_id } }),
                failureToast('Could not remediate'),
              )
          }
        >
          {remediation.title ?? 'Remediate'}
        </Button>
      ))}
      <ActButton
        button={
          <Button icon={Square} tone="danger" off={off}>
            Cancel
          </Button>
        }
        off={off}
        label="Cancel the job"
        verb="Cancel it"
        reach="one"
        consequences={{
          reach: { level: 1, words: <b>1 job</b>, more: 'what it started is told to stop' },
          undo: { level: 2, words: 'submit it again' },
          cost: { level: 0, words: 'none' },
          data: { level: 2, words: 'what it has done so far stays' },
        }}
        run={() => cancel.mutateAsync()}
        onDone={(answer) => toast({ status: 'off', title: answer.reason ?? 'Cancelled' })}
        failed="Could not cancel"
      />
    </>
  )
}
