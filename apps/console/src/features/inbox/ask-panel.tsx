import type { InboxItem } from '@wheelhouse/contract/native/inbox'
import { useJob } from '../../api/jobs.ts'
import { usePlan } from '../../api/workflows.ts'
import { plural } from '../../ui/age.ts'
import { Note } from '../../ui/banner.tsx'
import { ConsequenceLines, type Consequences } from '../../ui/blast.tsx'
import { CodeBlock, JsonView } from '../../ui/code-block.tsx'
import { AskAnswer } from './ask-answer.tsx'
import { commandOf, reachedOf, riskWords, shownOf } from './ask-words.ts'
import type { Asks } from './use-asks.ts'

/** What the approval would let happen: exactly these arguments, what they reach, the rule that asks, and the two answers. */
export function AskPanel(props: { item: InboxItem; asks: Asks }) {
  const { item, asks } = props
  const shown = shownOf(item)
  const command = commandOf(shown.arguments)
  const none = shown.arguments === null || shown.arguments === undefined
  return (
    <div className="grid gap-x-5 gap-y-3 roomy:grid-cols-[minmax(0,1fr)_320px]">
      <div className="flex min-w-0 flex-col gap-2.5">
        {shown.instructions && <p className="text-pretty whitespace-pre-wrap text-ink">{shown.instructions}</p>}
        {shown.prompt && <CodeBlock title="Prompt" label="Prompt" text={shown.prompt} maxHeight={200} wrap />}
        {command !== undefined && <CodeBlock title="Runs" label="Command" text={command} maxHeight={200} wrap />}
        {!none ? (
          <JsonView title="Exact arguments" label="Exact arguments" value={shown.arguments} maxHeight={300} />
        ) : item.kind === 'job' ? (
          <Note status="unknown">It was submitted without arguments: the topic alone says what is done.</Note>
        ) : (
          !shown.form && !shown.instructions && <Note status="unknown">The step hands nothing to whoever decides.</Note>
        )}
        {item.jobId !== null && <Limits jobId={item.jobId} />}
        {item.kind === 'job' ? (
          <JobConsequences item={item} args={shown.arguments} />
        ) : (
          <StepConsequences item={item} />
        )}
      </div>
      <AskAnswer item={item} asks={asks} />
    </div>
  )
}

function Limits(props: { jobId: string }) {
  const job = useJob(props.jobId)
  const limits = job.data?.safety_constraints
  if (!limits || Object.keys(limits).length === 0) return null
  return <JsonView title="Within these limits" label="Limits" value={limits} maxHeight={160} />
}

function JobConsequences(props: { item: InboxItem; args: unknown }) {
  const { item } = props
  const reached = reachedOf(props.args)
  const lines: Consequences = {
    reach: {
      level: reached.length <= 1 ? 1 : reached.length <= 25 ? 2 : 3,
      words: reached.length === 0 ? 'named in the arguments' : <b>{plural(reached.length, 'instance')}</b>,
      ...(reached.length > 0 && reached.length <= 3
        ? { more: <span className="mono">{reached.join(', ')}</span> }
        : {}),
    },
    undo: { level: 2, words: 'the verb declares none here' },
    cost: { level: 0, words: 'none is declared' },
    data: { level: item.riskTags.length > 0 ? 2 : 0, words: `risk: ${riskWords(item.riskTags)}` },
  }
  return <ConsequenceLines of={lines} />
}

/** What a step lets go on is what stands after it in the plan. */
function StepConsequences(props: { item: InboxItem }) {
  const { item } = props
  const plan = usePlan(item.workflowId ?? undefined)
  const parent = item.stepId?.replace(/\[\d+\]$/, '')
  const after = (plan.data?.edges ?? []).filter(({ from, on }) => from === parent && on !== 'failure')
  const names = after.map(({ to }) => plan.data?.nodes.find(({ id }) => id === to)?.name || to)
  const lines: Consequences = {
    reach: {
      level: 1,
      words: <b>1 run</b>,
      more: !plan.data ? (
        'goes on from here'
      ) : names.length === 0 ? (
        'nothing comes after this step'
      ) : (
        <>
          goes on with <b>{names.slice(0, 4).join(', ')}</b>
          {names.length > 4 && ` and ${names.length - 4} more`}
        </>
      ),
    },
    undo: { level: 2, words: 'rerun it from a step; what was done stays' },
    cost: { level: 0, words: 'none is declared' },
    data: { level: 1, words: 'policy decides on each job that follows' },
  }
  return <ConsequenceLines of={lines} />
}
