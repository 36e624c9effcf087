import { Fault } from '@wheelhouse/contract'
import { type Db, sql } from '../db/index.ts'
import { THROTTLE_MS, UNDECIDED_MS } from './delays.ts'
import type { Jobs, Submitted, TerminalState } from './jobs.ts'
import type { Signals } from './signals.ts'
import type { Submission } from './submission.ts'
import type { Ended } from './verb.ts'

const FIRST_LOOK_MS = 1000
const LOOK_MS = 10_000

/** Waits for the ends of jobs, for calls that answer only then. */
export function openWaiting(options: {
  db: Db
  signals: Signals
  submit: Submission['submit']
}): Pick<Jobs, 'submitAndWait' | 'wait'> {
  const { db, signals, submit } = options

  const wait: Jobs['wait'] = async (tenantId, jobId, timeoutMs, signal) => {
    let heard: (end: Ended<unknown>) => void = () => {}
    const ended = new Promise<Ended<unknown>>((resolve) => (heard = resolve))
    const leave = signals.watch(tenantId, jobId, (each) => {
      if (each.kind === 'ended') heard(each.end)
    })
    const until = performance.now() + timeoutMs
    try {
      // The record is asked too: a signal may be lost, and the job may have ended before we listened.
      for (let pauseMs = FIRST_LOOK_MS; ; pauseMs = Math.min(LOOK_MS, pauseMs * 2)) {
        const known = await endOf(tenantId, jobId)
        if (known) return known
        const left = until - performance.now()
        if (left <= 0 || signal?.aborted) return undefined
        const found = await Promise.race([ended, rest(Math.min(left, pauseMs), signal)])
        if (found) return found
      }
    } finally {
      leave()
    }
  }

  async function endOf(tenantId: string, jobId: string): Promise<Ended<unknown> | undefined> {
    const row = await db.tenant(tenantId, (tx) =>
      tx.maybe<{
        state: string
        result: string | null
        result_ptr: string | null
        error_code: string | null
        error_message: string | null
      }>(sql`select state, result, result_ptr, error_code, error_message from jobs where id = ${jobId}`),
    )
    if (!row) throw new Fault('JOB_NOT_FOUND')
    if (row.state === 'open') return undefined
    const output: unknown =
      row.result === null
        ? row.result_ptr === null
          ? undefined
          : { resultPtr: row.result_ptr }
        : JSON.parse(row.result)
    if (row.state === 'succeeded') return { kind: 'succeeded', output: output ?? null }
    return {
      kind: row.state as Exclude<TerminalState, 'succeeded'>,
      code: row.error_code ?? '',
      message: row.error_message ?? '',
      ...(output === undefined ? {} : { output: output as Partial<unknown> }),
    }
  }

  return {
    wait,
    async submitAndWait(principal, verb, input, { waitMs, signal, prepare, ...submitOptions }) {
      const submitted = await db.tenant(principal.tenantId, async (tx) => {
        const made = await submit(tx, principal, verb, input, submitOptions)
        if (made.state === 'throttled' && !made.replayed) throw throttled(made)
        if (made.state !== 'denied' && !made.replayed) await prepare?.(tx, made)
        return made
      })
      const { jobId, decision, state } = submitted
      if (state === 'denied') throw denied(submitted)
      if (state === 'held') return { state: 'held', jobId, decision, approvalId: submitted.approvalId ?? '' }
      const end = await wait(principal.tenantId, jobId, waitMs, signal)
      if (!end) return { state: 'pending', jobId, decision }
      return { state: 'ended', jobId, decision, end: end as Ended<never> }
    },
  }
}

/** Resolves with nothing after a time, or at once when the signal aborts. */
const rest = (ms: number, signal: AbortSignal | undefined): Promise<undefined> =>
  new Promise((resolve) => {
    const timer = setTimeout(done, ms)
    function done(): void {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve(undefined)
    }
    signal?.addEventListener('abort', done, { once: true })
  })

/** Decisions D5: the refusal of a synchronous call names the rule and says why. */
function denied({ jobId, decision }: Submitted): Fault {
  return new Fault(
    'POLICY_DENIED',
    {
      jobId,
      rule: decision.ruleId,
      why: decision.reason,
      snapshot: decision.snapshot,
      remediations: decision.remediations,
    },
    {
      message: decision.reason === '' ? 'denied by policy' : decision.reason,
      extra: { jobId, rule: decision.ruleId, why: decision.reason },
    },
  )
}

function throttled({ decision }: Submitted): Fault {
  if (decision.snapshot === '')
    return new Fault('SYS_UNAVAILABLE', { part: 'policy' }, { message: decision.reason, retryAfterMs: UNDECIDED_MS })
  return new Fault(
    'POLICY_THROTTLED',
    { rule: decision.ruleId, why: decision.reason },
    {
      message: decision.reason,
      retryAfterMs: THROTTLE_MS,
      extra: { rule: decision.ruleId, why: decision.reason },
    },
  )
}
