import { useMutation } from '@tanstack/react-query'
import type { PolicyCheckBody } from '@wheelhouse/contract/jobs/policy'
import { Play } from 'lucide-react'
import { useState } from 'react'
import { failureOf } from '../../api/failure.ts'
import { simulate } from '../../api/policy.ts'
import { sentence } from '../../ui/age.ts'
import { Banner, Note } from '../../ui/banner.tsx'
import { Button } from '../../ui/button.tsx'
import { CodeEditor } from '../../ui/code-editor.tsx'
import { JsonView } from '../../ui/code-block.tsx'
import { decisionState } from '../jobs/job-state.ts'
import { saidOf } from './decision-words.ts'

const FIRST = JSON.stringify(
  { topic: 'job.files.delete', labels: { env: 'prod' }, meta: { actor_type: 'service', risk_tags: ['destructive'] } },
  null,
  2,
)

/** One job that nobody submits: what would be said of it. */
export function SimulatePanel(props: { id: string; text: string; broken: boolean }) {
  const [request, setRequest] = useState(FIRST)
  const ask = useMutation({
    mutationFn: async () => simulate(props.id, props.text, JSON.parse(request) as PolicyCheckBody),
  })
  const answer = ask.data
  const said = answer && decisionState(saidOf(answer))
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-3 p-3">
      <CodeEditor label="Job to ask about" language="json" value={request} onChange={setRequest} className="h-44" />
      <Button
        icon={Play}
        className="justify-self-start"
        off={props.broken && 'The draft cannot be read yet.'}
        busy={ask.isPending}
        onClick={() => ask.mutate()}
      >
        Ask the draft
      </Button>
      {ask.error && (
        <Note status="failed">
          {ask.error instanceof SyntaxError
            ? `The job is not JSON: ${ask.error.message}`
            : failureOf(ask.error).message}
        </Note>
      )}
      {answer && said && (
        <>
          <Banner status={said.status} title={said.word}>
            {answer.reason && <p>{sentence(answer.reason)}</p>}
            <p className="mono">{answer.ruleId === '' ? 'no rule matched' : answer.ruleId}</p>
          </Banner>
          <JsonView label="Answer" value={answer} maxHeight={260} />
        </>
      )}
    </div>
  )
}
