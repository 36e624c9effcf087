import { Play, Square } from 'lucide-react'
import { useEffect, useMemo, useRef, useState } from 'react'
import { useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { readExecution, runCommand, useCommandHistory } from '../../api/fleet.ts'
import { failureOf, type Failure } from '../../api/failure.ts'
import { useCancelJob } from '../../api/jobs.ts'
import { keys } from '../../api/keys.ts'
import { useJobOutput } from '../../api/job-output.ts'
import type { Execution, Instance } from '../../api/wire.ts'
import { useRefusal } from '../../app/allowed.ts'
import { sentence, took } from '../../ui/age.ts'
import { ConsequenceLines } from '../../ui/blast.tsx'
import { Button } from '../../ui/button.tsx'
import { useNow } from '../../ui/clock.ts'
import { CommandLine } from '../../ui/code-block.tsx'
import { Field, TextInput } from '../../ui/form.tsx'
import { LogView, type LogLine } from '../../ui/log-view.tsx'
import { Note } from '../../ui/banner.tsx'
import { StatusText } from '../../ui/status.tsx'
import { Age } from '../../ui/time.tsx'
import { commandConsequences } from '../fleet/consequences.tsx'
import { execLine } from '../fleet/exec-line.ts'
import { executionState } from './execution-state.ts'
import { executionLines, streamedLines } from './output-lines.ts'

const ENDED: ReadonlySet<Execution['status']> = new Set(['SUCCEEDED', 'FAILED', 'TIMEOUT'])

/** Runs a command on this instance and shows its output as it comes. */
export function CommandTab(props: { instance: Instance }) {
  const { instance } = props
  const cache = useQueryClient()
  const refusal = useRefusal()
  const history = useCommandHistory(instance.id)
  const [command, setCommand] = useState('')
  const [seconds, setSeconds] = useState('30')
  const [startedAt, setStartedAt] = useState<number>()
  const [execution, setExecution] = useState<Execution>()
  const [failure, setFailure] = useState<Failure>()
  const abort = useRef<AbortController>(undefined)
  const timeout = Number(seconds)
  const wrong = Number.isInteger(timeout) && timeout >= 1 && timeout <= 300 ? undefined : 'Enter 1 to 300 seconds.'
  const running = startedAt !== undefined && !(execution && ENDED.has(execution.status))
  const stream = useJobOutput(startedAt === undefined ? undefined : execution?.jobId)
  const cancel = useCancelJob(execution?.jobId ?? '')
  const ended = stream.end !== undefined

  const run = async () => {
    if (command.trim() === '' || wrong || running) return
    abort.current = new AbortController()
    setStartedAt(Date.now())
    setExecution(undefined)
    setFailure(undefined)
    try {
      setExecution(
        await runCommand(
          instance.id,
          { command: '/bin/sh', args: ['-c', command], timeoutMs: timeout * 1000 },
          abort.current.signal,
        ),
      )
    } catch (error) {
      setFailure(failureOf(error))
      setStartedAt(undefined)
    }
    void cache.invalidateQueries({ queryKey: keys.commands(instance.id) })
  }

  // The job goes on after the call has answered: what it wrote in all is read when it has ended, and now and then until then.
  const executionId = execution?.id
  const instanceId = instance.id
  const held = Boolean(execution?.approvalRequired)
  useEffect(() => {
    if (!executionId || !running) return
    const read = async () => {
      const now = await readExecution(executionId).catch(() => undefined)
      if (!now) return
      setExecution(now)
      if (ENDED.has(now.status)) void cache.invalidateQueries({ queryKey: keys.commands(instanceId) })
    }
    if (ended) void read()
    const timer = setInterval(() => void read(), held ? 5000 : 2000)
    return () => clearInterval(timer)
  }, [executionId, running, ended, held, cache, instanceId])

  const lines = useMemo<readonly LogLine[]>(() => {
    if (stream.chunks.length > 0) return streamedLines(stream.chunks)
    return execution && ENDED.has(execution.status) ? executionLines(execution) : []
  }, [execution, stream.chunks])
  const state = execution ? executionState(execution) : undefined

  return (
    <div className="grid min-h-0 flex-1 grid-cols-[minmax(0,1fr)] content-start overflow-y-auto roomy:grid-cols-[minmax(0,1fr)_var(--aside-w)] roomy:content-stretch">
      <div className="flex min-h-96 min-w-0 flex-col">
        <form
          className="flex flex-wrap items-end gap-3 px-4 pt-4 pb-3 wide:px-5"
          onSubmit={(event) => {
            event.preventDefault()
            void run()
          }}
        >
          <Field label="Command" className="min-w-56 flex-1">
            {(shape) => (
              <TextInput
                {...shape}
                mono
                autoFocus
                value={command}
                onChange={(event) => setCommand(event.target.value)}
                placeholder="systemctl status"
                autoComplete="off"
                spellCheck={false}
              />
            )}
          </Field>
          <Field label="Ends after, seconds" error={wrong} className="w-32">
            {(shape) => (
              <TextInput
                {...shape}
                inputMode="numeric"
                value={seconds}
                onChange={(event) => setSeconds(event.target.value)}
              />
            )}
          </Field>
          <Button
            type="submit"
            tone="primary"
            icon={Play}
            busy={running}
            off={
              refusal('fleet', 'POST', '/api/v1/commands') ??
              (command.trim() === '' ? 'Write the command first' : wrong)
            }
          >
            Run on {instance.name}
          </Button>
          {running && execution?.jobId && (
            <Button icon={Square} tone="danger" busy={cancel.isPending} onClick={() => cancel.mutate()}>
              Cancel
            </Button>
          )}
        </form>
        {failure && (
          <div className="px-4 pb-3 wide:px-5">
            <Note status={failure.kind === 'denied' || failure.kind === 'forbidden' ? 'denied' : 'failed'}>
              <b>{failure.kind === 'denied' ? 'Policy denied it.' : 'It did not run.'}</b> {sentence(failure.message)}
              {failure.rule && (
                <>
                  {' '}
                  Rule <span className="mono">{failure.rule}</span>.
                </>
              )}
              {failure.trace && (
                <>
                  {' '}
                  Trace <span className="mono">{failure.trace}</span>.
                </>
              )}
            </Note>
          </div>
        )}
        {execution?.approvalRequired && running && (
          <div className="px-4 pb-3 wide:px-5">
            <Note status="waiting">
              <b>Needs an approval.</b> It runs as soon as somebody approves it in the{' '}
              <Link
                to="/inbox"
                search={execution.jobId ? { job: execution.jobId } : {}}
                className="font-medium text-accent-text hover:underline"
              >
                inbox
              </Link>
              .
            </Note>
          </div>
        )}
        <div className="flex min-h-9 items-center gap-3 border-y border-line-1 bg-surface-2 px-4 text-s2 text-ink-3 wide:px-5">
          <h2 className="font-strong text-ink">Output</h2>
          {running && !state && startedAt !== undefined && <StatusText status="running">Running</StatusText>}
          {state && <StatusText status={state.status}>{state.word}</StatusText>}
          {execution?.exitCode !== null && execution?.exitCode !== undefined && (
            <span className="num">exit {execution.exitCode}</span>
          )}
          {running && startedAt !== undefined ? (
            <Elapsed since={startedAt} />
          ) : (
            execution?.durationMs !== null &&
            execution?.durationMs !== undefined && <span className="num">{took(execution.durationMs)}</span>
          )}
          {execution?.jobId && (
            <Link
              to="/jobs/$id"
              params={{ id: execution.jobId }}
              className="ml-auto font-medium text-accent-text hover:underline"
            >
              Decision and trail
            </Link>
          )}
        </div>
        {lines.length > 0 ? (
          <LogView label="Output" lines={lines} wrap levels={false} className="min-h-64" />
        ) : (
          <p className="flex-1 bg-well px-4 py-3 text-s2 text-ink-3 wide:px-5">
            {running
              ? 'Nothing written yet.'
              : execution
                ? 'It wrote nothing.'
                : 'The output stands here, line by line.'}
          </p>
        )}
      </div>
      <aside aria-label="Consequences and history" className="border-line-1 max-[1100px]:border-t roomy:border-l">
        <section className="border-b border-line-1 px-4 py-3">
          <h2 className="mb-2 text-s2 font-strong">What it does</h2>
          <ConsequenceLines of={commandConsequences(1).lines} />
          <div className="mt-3">
            <CommandLine
              label="The same on the command line"
              command={execLine([instance.name], command || 'uptime')}
            />
          </div>
        </section>
        <section className="px-4 py-3">
          <h2 className="mb-1 text-s2 font-strong">Before</h2>
          {history.data?.length === 0 && <p className="text-s2 text-ink-3">No command has run here yet.</p>}
          <ul>
            {history.data?.map((past) => {
              const pastState = executionState(past)
              return (
                <li key={past.id}>
                  <button
                    type="button"
                    onClick={() => {
                      setStartedAt(undefined)
                      setFailure(undefined)
                      setExecution(past)
                      setCommand(
                        past.command === '/bin/sh' ? (past.args[1] ?? '') : [past.command, ...past.args].join(' '),
                      )
                    }}
                    className="-mx-2 flex min-h-7 w-[calc(100%+16px)] items-center gap-2 rounded-r2 px-2 text-left text-s2 hover:bg-hover"
                  >
                    <StatusText status={pastState.status}>
                      <span className="sr-only">{pastState.word}</span>
                    </StatusText>
                    <span className="mono min-w-0 flex-1 truncate text-ink">
                      {past.command === '/bin/sh' ? past.args[1] : [past.command, ...past.args].join(' ')}
                    </span>
                    <Age at={past.createdAt} className="text-ink-3" />
                  </button>
                </li>
              )
            })}
          </ul>
        </section>
      </aside>
    </div>
  )
}

function Elapsed(props: { since: number }) {
  const now = useNow()
  return <span className="num">{took(Math.max(0, now - props.since))}</span>
}
