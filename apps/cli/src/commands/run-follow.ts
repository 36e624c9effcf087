import { setTimeout as pause } from 'node:timers/promises'
import type { WorkflowRun } from '@wheelhouse/contract/jobs/runs'
import type { Call } from '../command.ts'
import { EXIT } from '../exit.ts'
import { harmless } from '../io.ts'
import { serialised } from '../render.ts'

const LOOK_MS = 500
const OVER = new Set<WorkflowRun['status']>(['succeeded', 'failed', 'cancelled', 'timed_out'])

/** Shows what happens in a run until it ends, and gives the exit code of its end. */
export async function followRun(call: Call, runId: string, timeoutMs?: number): Promise<number> {
  const { voice, format, signal } = call
  const { client } = call.session()
  const until = timeoutMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs
  const params = { id: runId }
  let seen = 0
  while (!signal.aborted) {
    const run = await client.jobs.runs.getRun({ params, signal })
    const events = await client.native.workflows.listRunEvents({
      params,
      query: { filter: JSON.stringify({ seq: { $gt: seen } }), sort: 'seq', pageSize: 200 },
      signal,
    })
    for (const event of events.items) {
      seen = Math.max(seen, event.seq)
      const what = event.type.replace(/^(step|run)_/, '').replaceAll('_', ' ')
      const who = event.stepId ?? 'run'
      voice.say(
        `${voice.tint('dim', event.time.slice(11, 19))} ${who} ${what} ${event.status ?? ''} ${harmless(event.message ?? '')}`.trimEnd(),
      )
      if (event.type === 'step_waiting' && event.stepId)
        voice.warn(`  Decide with: wheelhouse run approve ${run.workflow_id} ${runId} ${event.stepId}`)
    }
    if (events.items.length === 200) continue
    if (OVER.has(run.status)) return told(call, run)
    if (performance.now() >= until) {
      voice.warn('It has not ended yet; it goes on.')
      return EXIT.timeout
    }
    await pause(LOOK_MS, undefined, { signal }).catch(() => undefined)
  }
  if (format === 'table') voice.say('It goes on.')
  return EXIT.interrupted
}

function told({ voice, format }: Call, run: WorkflowRun): number {
  if (format === 'json' || format === 'yaml') voice.line(serialised(format, run))
  else if (run.status === 'succeeded') {
    voice.say(`${voice.tint('green', '✓')} ${run.id} succeeded.`)
    if (run.output && Object.keys(run.output).length > 0) voice.line(serialised('json', run.output))
  } else {
    const message = (run.error as { message?: string } | null)?.message
    voice.warn(
      `${voice.tint('red', '✗')} ${run.id} ${run.status.replace('_', ' ')}${message ? `: ${harmless(message)}` : ''}`,
    )
    voice.warn(voice.tint('dim', `  wheelhouse run rerun ${run.id} --from-step STEP`))
  }
  return run.status === 'succeeded' ? EXIT.ok : run.status === 'timed_out' ? EXIT.timeout : EXIT.failed
}
