import { useState } from 'react'
import { runOnMany } from '../../api/fleet.ts'
import { failureOf } from '../../api/failure.ts'
import type { BulkExecution } from '../../api/wire.ts'
import { plural } from '../../ui/age.ts'
import { ConsequenceLines } from '../../ui/blast.tsx'
import { Button } from '../../ui/button.tsx'
import { CommandLine } from '../../ui/code-block.tsx'
import { Field, TextInput } from '../../ui/form.tsx'
import { Dialog } from '../../ui/overlay.tsx'
import { Note } from '../../ui/banner.tsx'
import { StatusShape } from '../../ui/status.tsx'
import { executionState } from '../instance/execution-state.ts'
import { commandConsequences } from './consequences.tsx'
import { execLine } from './exec-line.ts'
import type { FleetRow } from './fleet-rows.ts'

/** One command on a selection: what it reaches, then what each answered. */
export function BulkCommand(props: { rows: readonly FleetRow[]; onClose: () => void }) {
  const { rows } = props
  const [command, setCommand] = useState('')
  const [seconds, setSeconds] = useState('30')
  const [busy, setBusy] = useState(false)
  const [results, setResults] = useState<BulkExecution[]>()
  const [error, setError] = useState<string>()
  const timeout = Number(seconds)
  const wrong = Number.isInteger(timeout) && timeout >= 1 && timeout <= 300 ? undefined : 'Enter 1 to 300 seconds.'
  const { lines } = commandConsequences(rows.length)

  const run = async () => {
    setBusy(true)
    setError(undefined)
    try {
      const ids = rows.map((row) => row.id)
      setResults(await runOnMany(ids, { command: '/bin/sh', args: ['-c', command], timeoutMs: timeout * 1000 }))
    } catch (thrown) {
      setError(failureOf(thrown).message)
    } finally {
      setBusy(false)
    }
  }

  return (
    <Dialog
      open
      onOpenChange={(open) => !open && props.onClose()}
      title={`Run a command on ${plural(rows.length, 'instance')}`}
      description={
        rows
          .slice(0, 4)
          .map((row) => row.instance.name)
          .join(', ') + (rows.length > 4 ? ` and ${rows.length - 4} more` : '')
      }
      width={640}
      footer={
        <>
          <Button tone="quiet" onClick={props.onClose}>
            Close
          </Button>
          <Button
            tone="primary"
            busy={busy}
            off={command.trim() === '' ? 'Write the command first' : wrong}
            onClick={() => void run()}
          >
            Run on {rows.length}
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-3.5">
        <Field label="Command" help="Run by /bin/sh on each of them.">
          {(shape) => (
            <TextInput
              {...shape}
              mono
              value={command}
              onChange={(event) => setCommand(event.target.value)}
              onKeyDown={(event) => event.key === 'Enter' && (event.metaKey || event.ctrlKey) && void run()}
              placeholder="uptime"
              autoComplete="off"
              spellCheck={false}
            />
          )}
        </Field>
        <Field label="Ends after, seconds" error={wrong} className="w-40">
          {(shape) => (
            <TextInput
              {...shape}
              inputMode="numeric"
              value={seconds}
              onChange={(event) => setSeconds(event.target.value)}
            />
          )}
        </Field>
        <ConsequenceLines of={lines} />
        <CommandLine
          label="The same on the command line"
          command={execLine(
            rows.map((row) => row.instance.name),
            command,
          )}
        />
        {error && <Note status="failed">{error}</Note>}
        {results && <Results results={results} rows={rows} />}
      </div>
    </Dialog>
  )
}

function Results(props: { results: readonly BulkExecution[]; rows: readonly FleetRow[] }) {
  const names = new Map(props.rows.map((row) => [row.id, row.instance.name]))
  return (
    <ul aria-label="Answers" className="flex flex-col rounded-r2 border border-line-1">
      {props.results.map((result) => {
        const state = result.success ? executionState(result.execution) : { status: 'failed' as const, word: 'Refused' }
        const text = result.success
          ? [result.execution.stdout, result.execution.stderr].filter(Boolean).join('')
          : result.error
        return (
          <li key={result.instanceId} className="border-b border-line-1 px-3 py-1.5 last:border-0">
            <p className="flex items-center gap-2 text-s2">
              <StatusShape status={state.status} size={12} />
              <span className="mono font-medium text-ink">{names.get(result.instanceId) ?? result.instanceId}</span>
              <span className="ml-auto text-ink-3">
                {state.word}
                {result.success && result.execution.exitCode !== null && `, exit ${result.execution.exitCode}`}
              </span>
            </p>
            {text && (
              <pre tabIndex={0} className="mt-1 max-h-32 overflow-auto rounded-r1 bg-well px-2 py-1 text-ink-2">
                {text}
              </pre>
            )}
          </li>
        )
      })}
    </ul>
  )
}
