import { Layers, Pause, Play } from 'lucide-react'
import { useState } from 'react'
import { useQueueChanges, useQueues, type Queues } from '../../api/operations.ts'
import { ActButton } from '../../app/act-button.tsx'
import { useRefusal } from '../../app/allowed.ts'
import { usePageName } from '../../app/crumbs.ts'
import { failureToast } from '../../app/failure-toast.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { count, plural, span } from '../../ui/age.ts'
import { Button } from '../../ui/button.tsx'
import { DataTable, type Column } from '../../ui/data-table.tsx'
import { FittedTable } from '../../ui/fitted-table.tsx'
import { Field, TextInput } from '../../ui/form.tsx'
import { Page, PageHeader } from '../../ui/page.tsx'
import { EmptyState, SkeletonRows, StaleLine } from '../../ui/states.tsx'
import { StatusShape } from '../../ui/status.tsx'
import { TableFoot } from '../../ui/table-foot.tsx'
import { Age } from '../../ui/time.tsx'
import { toast } from '../../ui/toast.tsx'
import { topicWords } from './job-state.ts'
import { JobsNav } from './jobs-nav.tsx'

type Topic = Queues['topics'][number]
type Pool = Queues['pools'][number]

const number = (id: string, head: string, value: (topic: Topic) => number, from: number): Column<Topic> => ({
  id,
  head,
  width: 84,
  right: true,
  from,
  cell: (topic) =>
    value(topic) === 0 ? <span className="text-ink-3">–</span> : <span className="num">{count(value(topic))}</span>,
})

/** `3 waiting, 1 running`. */
function nowWords({ waiting, running, held, setAside, blocked }: Topic): string {
  const parts = Object.entries({ waiting, running, held, 'set aside': setAside, blocked })
  return (
    parts
      .filter(([, value]) => value > 0)
      .map(([word, value]) => `${count(value)} ${word}`)
      .join(', ') || 'nothing waits'
  )
}

const pausedWords = ({ by, reason }: NonNullable<Topic['paused']>): string =>
  `paused by ${by}${reason ? `: ${reason}` : ''}`

const TOPICS: readonly Column<Topic>[] = [
  {
    id: 'topic',
    head: 'Topic',
    narrow: 'name',
    cell: (topic) => (
      <span className="flex min-w-0 items-center gap-2">
        <StatusShape
          status={
            topic.paused
              ? 'waiting'
              : topic.waiting > 0 && topic.running === 0
                ? 'warning'
                : topic.running > 0
                  ? 'running'
                  : 'off'
          }
          size={14}
          label={topic.paused ? 'paused' : topic.running > 0 ? 'works' : topic.waiting > 0 ? 'waits' : 'idle'}
        />
        <span className="mono min-w-0 truncate font-medium text-ink">{topicWords(topic.topic)}</span>
        {topic.paused && (
          <span className="min-w-0 flex-1 truncate text-s1 text-waiting-text" title={pausedWords(topic.paused)}>
            {pausedWords(topic.paused)}
          </span>
        )}
      </span>
    ),
  },
  {
    id: 'now',
    head: 'Now',
    // Its words stand for the columns of counts where there is no room for them.
    from: Number.POSITIVE_INFINITY,
    narrow: 'place',
    cell: (topic) => nowWords(topic),
  },
  number('waiting', 'Waiting', (topic) => topic.waiting, 0),
  number('running', 'Running', (topic) => topic.running, 520),
  number('held', 'Held', (topic) => topic.held, 700),
  number('aside', 'Set aside', (topic) => topic.setAside, 460),
  number('blocked', 'Blocked', (topic) => topic.blocked, 900),
  {
    id: 'oldest',
    head: 'Oldest waits',
    width: 108,
    right: true,
    from: 620,
    narrow: 'end',
    cell: (topic) =>
      topic.oldestWaitingSince ? <Age at={topic.oldestWaitingSince} /> : <span className="text-ink-3">–</span>,
  },
  {
    id: 'limits',
    head: 'Limits',
    width: 190,
    from: 960,
    cell: ({ limits }) =>
      limits.maxDepth === null && limits.maxAgeMs === null ? (
        <span className="text-ink-3">none</span>
      ) : (
        <span>
          {[
            limits.maxDepth !== null && plural(limits.maxDepth, 'job'),
            limits.maxAgeMs !== null && `no older than ${span(limits.maxAgeMs)}`,
          ]
            .filter(Boolean)
            .join(', ')}
        </span>
      ),
  },
  {
    id: 'verbs',
    head: '',
    width: 112,
    right: true,
    narrow: 'verb',
    cell: (topic) => <Brake kind="topic" name={topic.topic} paused={topic.paused !== null} />,
  },
]

const POOLS: readonly Column<Pool>[] = [
  {
    id: 'pool',
    head: 'Pool',
    narrow: 'name',
    cell: (pool) => (
      <span className="flex min-w-0 items-center gap-2">
        <StatusShape
          status={pool.paused ? 'waiting' : pool.workers === 0 ? 'warning' : 'ok'}
          size={14}
          label={pool.paused ? 'paused' : pool.workers === 0 ? 'no workers' : 'ready'}
        />
        <span className="mono truncate font-medium text-ink">{pool.pool || 'without a name'}</span>
      </span>
    ),
  },
  {
    id: 'workers',
    head: 'Workers',
    width: 130,
    right: true,
    narrow: 'place',
    cell: (pool) => (
      <span className="num narrow:block narrow:text-left">
        {count(pool.workers)}
        <span className="wide:hidden"> {pool.workers === 1 ? 'worker' : 'workers'}</span>
        {pool.draining > 0 && <span className="text-ink-3"> {count(pool.draining)} draining</span>}
      </span>
    ),
  },
  {
    id: 'load',
    head: 'In flight of slots',
    width: 140,
    right: true,
    from: 560,
    cell: (pool) => (
      <span className="num">
        {count(pool.inFlight)} of {count(pool.capacity)}
      </span>
    ),
  },
  {
    id: 'provides',
    head: 'Provides',
    width: 220,
    from: 860,
    cell: (pool) => (
      <span className="truncate">{pool.provides.join(', ') || <span className="text-ink-3">–</span>}</span>
    ),
  },
  {
    id: 'verbs',
    head: '',
    width: 112,
    right: true,
    narrow: 'verb',
    cell: (pool) => <Brake kind="pool" name={pool.pool} paused={pool.paused !== null} />,
  },
]

/** What waits where, who would take it, and the brakes. */
export function QueuesPage() {
  usePageName({ label: 'Jobs', to: '/jobs' }, { label: 'Queues' })
  const queues = useQueues()
  return (
    <Page>
      <PageHeader title="Queues" count={queues.data ? count(queues.data.topics.length) : ''} />
      <JobsNav />
      {queues.data && queues.isError && (
        <StaleLine
          since={queues.dataUpdatedAt}
          why="The queues could not be read anew."
          onRetry={() => void queues.refetch()}
        />
      )}
      {queues.isPending ? (
        <SkeletonRows rows={10} />
      ) : !queues.data ? (
        <FailureView error={queues.error} what="the queues" onRetry={() => void queues.refetch()} />
      ) : (
        <div className="flex min-h-0 flex-1 flex-col overflow-y-auto">
          <FittedTable rows={queues.data.topics.length}>
            <DataTable
              label="Queues by topic"
              rows={queues.data.topics}
              rowId={(topic) => topic.topic}
              columns={TOPICS}
              serverSorted
              empty={
                <EmptyState icon={Layers} title="Nothing waits">
                  A topic stands here while it has jobs that have not ended, or a brake of its own.
                </EmptyState>
              }
            />
          </FittedTable>
          <h2 className="px-5 pt-5 pb-2 text-s4 font-strong">Pools</h2>
          <FittedTable rows={queues.data.pools.length}>
            <DataTable
              label="Pools"
              rows={queues.data.pools}
              rowId={(pool) => pool.pool}
              columns={POOLS}
              serverSorted
              empty={
                <p className="px-5 py-3 text-s2 text-ink-3">No worker has been heard of within the last half minute.</p>
              }
            />
          </FittedTable>
        </div>
      )}
      <TableFoot count="" fresh={queues.dataUpdatedAt || undefined} keys={[]} />
    </Page>
  )
}

function Brake(props: { kind: 'topic' | 'pool'; name: string; paused: boolean }) {
  const { kind, name, paused } = props
  const { pause, resume } = useQueueChanges()
  const refusal = useRefusal()
  const [reason, setReason] = useState('')
  const off = refusal('native', 'POST', '/wheelhouse/api/v1/queues/{kind}/{name}/pause')
  const failed = 'Not changed'
  if (paused) {
    return (
      <Button
        size="sm"
        icon={Play}
        off={off}
        busy={resume.isPending}
        onClick={() =>
          void resume
            .mutateAsync({ kind, name })
            .then(() => toast({ status: 'ok', title: 'Resumed', text: name }), failureToast(failed))
        }
      >
        Resume
      </Button>
    )
  }
  return (
    <ActButton
      button={
        <Button size="sm" icon={Pause} off={off}>
          Pause
        </Button>
      }
      off={off}
      label={`Pause ${name}`}
      verb="Pause it"
      reach="some"
      consequences={{
        reach: {
          level: 1,
          words: <b>{kind === 'topic' ? 'every job of the topic' : 'every job for the pool'}</b>,
          more: 'what runs goes on',
        },
        undo: { level: 0, words: 'resume' },
        cost: { level: 0, words: 'none' },
        data: { level: 0, words: 'nothing is lost: jobs wait' },
      }}
      run={() => pause.mutateAsync({ kind, name, reason })}
      onDone={() => toast({ status: 'waiting', title: 'Paused', text: name })}
      failed={failed}
    >
      <Field label="Why" optional className="mb-2">
        {(shape) => <TextInput {...shape} value={reason} onChange={(event) => setReason(event.target.value)} />}
      </Field>
    </ActButton>
  )
}
