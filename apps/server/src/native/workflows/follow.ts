import { iso, pause } from '../../kernel/clock/index.ts'
import type { EventStream } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import {
  readEvents,
  RUN_TOPIC,
  type RunChange,
  runHead,
  runWord,
  shownCounts,
  shownEvent,
  stepWord,
  TERMINAL,
} from '../../kernel/workflows/index.ts'

const IDLE_MS = 5000
const PAGE = 200

const shown = ({ runId, workflowId, status, at, steps }: RunChange) => ({
  run_id: runId,
  workflow_id: workflowId,
  status: runWord(status),
  at: iso(at),
  steps: steps.map((step) => ({
    step_id: step.key,
    status: stepWord(step.status),
    attempts: step.attempts,
    skipped: step.status === 'skipped',
    ...shownCounts(step),
  })),
})

/** Tells a run from an event on to its end: each event of its timeline once and in order, and what changed as it does. */
export async function followRun(
  { db, feed }: Pick<Kernel, 'db' | 'feed'>,
  tenantId: string,
  runId: string,
  after: number,
  stream: EventStream,
): Promise<void> {
  const heard: RunChange[] = []
  let wake = new AbortController()
  stream.signal.addEventListener('abort', () => wake.abort(), { once: true })
  const leave = feed.subscribeLive(tenantId, [RUN_TOPIC], ({ data }) => {
    const change = data as RunChange
    if (change.runId !== runId) return
    // A slow reader needs where the run is, not every step on the way.
    if (heard.length >= 100) heard.shift()
    heard.push(change)
    wake.abort()
  })
  let from = after + 1
  try {
    for (;;) {
      const head = await db.tenant(tenantId, (tx) => runHead(tx, runId))
      for (;;) {
        const events = await db.tenant(tenantId, (tx) => readEvents(tx, runId, { limit: PAGE, from }))
        for (const event of events) {
          await stream.send({
            event: 'timeline',
            id: String(event.seq),
            data: shownEvent(event, runId, head?.workflowId ?? ''),
          })
          from = event.seq + 1
        }
        if (events.length < PAGE) break
      }
      const told = heard.length > 0
      for (let change = heard.shift(); change; change = heard.shift())
        await stream.send({ event: 'run', data: shown(change) })
      if (!head || TERMINAL.has(head.status)) {
        if (head) await stream.send({ event: 'end', data: shown({ ...head, runId, steps: [] }) })
        return
      }
      if (stream.signal.aborted) return
      // What was read may be older than what was heard.
      if (told || heard.length > 0) continue
      wake = new AbortController()
      const { signal } = wake
      await pause(IDLE_MS, signal).catch(() => undefined)
      if (stream.signal.aborted) return
    }
  } finally {
    leave()
  }
}
