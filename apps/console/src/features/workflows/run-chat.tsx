import type { WorkflowRun } from '@wheelhouse/contract/jobs/runs'
import { MessageSquare, Send } from 'lucide-react'
import { useState } from 'react'
import { useChat, useSay } from '../../api/workflows.ts'
import { useRefusal } from '../../app/allowed.ts'
import { failureToast } from '../../app/failure-toast.ts'
import { FailureView } from '../../app/failure-view.tsx'
import { Button } from '../../ui/button.tsx'
import { cx } from '../../ui/cx.ts'
import { TextArea } from '../../ui/form.tsx'
import { EmptyState, SkeletonRows } from '../../ui/states.tsx'
import { Age } from '../../ui/time.tsx'

const WHO = { user: 'A person', agent: 'An agent', system: 'The system' }

/** What people and agents say to each other about a run. Agents read it as their memory. */
export function RunChat(props: { run: WorkflowRun }) {
  const { run } = props
  const chat = useChat(run.id, true)
  const say = useSay(run.id)
  const refusal = useRefusal()
  const [text, setText] = useState('')
  const send = () => void say.mutateAsync(text.trim()).then(() => setText(''), failureToast('Not sent'))
  if (chat.isPending) return <SkeletonRows rows={4} />
  if (!chat.data) return <FailureView error={chat.error} what="the chat" onRetry={() => void chat.refetch()} />
  const messages = chat.data.items.toReversed()
  return (
    <div className="mx-auto flex w-full max-w-[860px] flex-1 flex-col gap-3 p-4">
      {messages.length === 0 ? (
        <EmptyState icon={MessageSquare} title="Nothing was said yet">
          What is written here is kept with the run; agents that work in it read the last twenty messages.
        </EmptyState>
      ) : (
        <ol aria-label="Messages" className="flex flex-col gap-2.5">
          {messages.map((message) => (
            <li
              key={message.id}
              className={cx(
                'max-w-[80%] rounded-r3 border border-line-1 px-3 py-2 text-s2',
                message.role === 'user' ? 'self-end bg-accent-soft' : 'self-start bg-surface-2',
              )}
            >
              <p className="mb-0.5 flex gap-2 text-s1 text-ink-2">
                <b className="font-medium text-ink">{message.agent_name ?? WHO[message.role]}</b>
                {message.step_id && <span className="mono">{message.step_id}</span>}
                <Age at={message.created_at} />
              </p>
              <p className="whitespace-pre-wrap [overflow-wrap:anywhere]">{message.content}</p>
            </li>
          ))}
        </ol>
      )}
      <form
        className="mt-auto flex items-end gap-2"
        onSubmit={(event) => {
          event.preventDefault()
          send()
        }}
      >
        <TextArea
          aria-label="Message"
          placeholder="Say something to whoever works on this run"
          rows={2}
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <Button
          type="submit"
          icon={Send}
          tone="primary"
          busy={say.isPending}
          off={
            refusal('jobs', 'POST', '/api/v1/workflow-runs/{id}/chat') ??
            (text.trim() === '' && 'Write something first.')
          }
        >
          Send
        </Button>
      </form>
    </div>
  )
}
