import { Fault } from '@wheelhouse/contract'
import { JobStatus } from '@wheelhouse/contract/proto/cap_pb'
import { Detached } from '../agents/index.ts'
import type { Instant } from '../clock/index.ts'
import { isDatabaseAway } from '../db/index.ts'
import { actorOf } from '../identity/index.ts'
import type { Core } from './core.ts'
import { crashPoint } from '../crash/index.ts'
import type { Active } from './active.ts'
import type { Dispatcher } from './dispatcher.ts'
import { endOne } from './ends.ts'
import type { Outputs } from './output.ts'
import { type Claimed, noteAttempt, release } from './queue.ts'
import { resultPointer } from './request.ts'
import { timedOut } from './signals.ts'
import { attemptOf } from './spans.ts'
import type { Ended, Run, Verb } from './verb.ts'

/** After its time a verb may still clean up and report; then it is given up. */
const GRACE_MS = 25_000

const FAILED = {
  failed: JobStatus.FAILED,
  timed_out: JobStatus.TIMEOUT,
  cancelled: JobStatus.CANCELLED,
  denied: JobStatus.DENIED,
} as const

type Failure = Exclude<Ended<unknown>, { kind: 'succeeded' }>

/** Runs verbs in this process. */
export interface Runner {
  run(active: Active): void
  /** Verbs that run now. */
  size(): number
  /** Lets everything go: what runs is detached, its claims go back at once. */
  stop(): Promise<void>
}

/** jobs are tried again after 1 s, 2 s, 4 s … at most a minute, with a little chance, so that they do not come back together. */
export const backoffMs = (attempt: number): number =>
  Math.round(Math.min(60_000, 1000 * 2 ** Math.max(0, attempt - 1)) * (0.8 + Math.random() * 0.4))

/** Whether trying again may help: the other side was busy or away. A defect of ours is not repeated. */
const retriable = (error: unknown): boolean =>
  error instanceof Fault && (error.retryAfterMs !== undefined || [429, 502, 503].includes(error.status))

export function openRunner(core: Core, outputs: Outputs, dispatcher: () => Dispatcher): Runner {
  const { db, clock, log, signals } = core
  const running = new Map<Active, Promise<void>>()

  async function perform(active: Active, verb: Verb, controller: AbortController): Promise<void> {
    const { claimed } = active
    const { tenantId, id, principal } = claimed
    if (!principal) throw new Error(`Job ${id} has no principal`)
    const input: unknown = JSON.parse(claimed.context ?? 'null')
    /** The stream's sockets get what a verb writes as they get a worker's progress (jobs.md 19). */
    const show = (value: { percent?: number; stepId?: string; message: string }): void =>
      signals.show(tenantId, {
        traceId: claimed.traceId,
        senderId: 'wheelhouse',
        at: clock.now(),
        payload: { case: 'jobProgress', value: { jobId: id, status: JobStatus.RUNNING, ...value } },
      })
    const output = await outputs.writer(tenantId, id, claimed.attempt === 1 && claimed.recoveries === 0)
    const run: Run<unknown> = {
      jobId: id,
      tenantId,
      attempt: claimed.attempt,
      fence: claimed.fence,
      key: id,
      input,
      principal,
      deadline: claimed.expiresAt,
      signal: controller.signal,
      progress(update) {
        signals.emit(tenantId, id, { kind: 'progress', ...update, at: clock.now() })
        show({ percent: update.percent ?? 0, message: update.message ?? '' })
      },
      output(stream, chunk) {
        output.write(stream, chunk)
        show({ stepId: stream, message: chunk })
      },
    }
    signals.emit(tenantId, id, { kind: 'state', state: 'running', at: clock.now() })
    let grace: NodeJS.Timeout | undefined
    const timer = setTimeout(
      () => controller.abort(timedOut()),
      Math.min(2 ** 31 - 1, Math.max(0, claimed.expiresAt - clock.now())),
    )
    const over = new Promise<never>((_, reject) => {
      controller.signal.addEventListener(
        'abort',
        () => {
          grace = setTimeout(() => reject(controller.signal.reason as Error), GRACE_MS)
        },
        { once: true },
      )
    })
    let end: Ended<unknown>
    try {
      crashPoint('verb:before-perform')
      const made: unknown = await Promise.race([verb.perform(run), over])
      crashPoint('verb:after-perform')
      end = { kind: 'succeeded', output: made }
    } catch (error) {
      if (controller.signal.aborted && controller.signal.reason instanceof Detached) return
      if (isDatabaseAway(error) && !controller.signal.aborted) {
        await handBack(active)
        return
      }
      if (await triedAgain(active, error)) {
        await output.flush()
        return
      }
      end = failureOf(error, controller.signal)
    } finally {
      clearTimeout(timer)
      clearTimeout(grace)
    }
    await output.flush()
    await finish(active, verb, input, end)
  }

  /**
   * The database went away under the verb: what it did may not be recorded, so that nobody knows yet how it ended. Taken over as after
   * a crash, under the same key, once the database is back; if that takes too long, when the lease has run out.
   */
  async function handBack({ claimed: { tenantId, id, fence, pool } }: Active): Promise<void> {
    dispatcher().forget(tenantId, id)
    for (let tries = 1; tries <= 20; tries++) {
      try {
        await db.engine((tx) => release(tx, [{ tenantId, id, fence, runAt: null, lost: true }]))
        core.hint(pool, tenantId)
        return
      } catch (error) {
        log.warn({ err: error, jobId: id }, 'A claim could not be given back yet')
        await new Promise((resolve) => setTimeout(resolve, 1000))
      }
    }
  }

  async function triedAgain(active: Active, error: unknown): Promise<boolean> {
    const { claimed } = active
    if (active.abort?.signal.aborted || claimed.attempt >= claimed.maxAttempts || !retriable(error)) return false
    const fault = error as Fault
    const now = clock.now()
    const runAt: Instant = now + Math.max(fault.retryAfterMs ?? 0, backoffMs(claimed.attempt))
    dispatcher().forget(claimed.tenantId, claimed.id)
    await db.engine(async (tx) => {
      await noteAttempt(tx, claimed, now, { outcome: 'failed', code: fault.code, message: fault.message })
      await release(tx, [
        { tenantId: claimed.tenantId, id: claimed.id, fence: claimed.fence, runAt, nextAttempt: true },
      ])
    })
    signals.emit(claimed.tenantId, claimed.id, { kind: 'state', state: 'pending', at: now })
    return true
  }

  function failureOf(error: unknown, signal: AbortSignal): Failure {
    if (signal.aborted && signal.reason instanceof Fault && signal.reason.code === 'JOB_TIMED_OUT')
      return { kind: 'timed_out', code: 'timeout', message: 'it did not end in its time' }
    if (error instanceof Fault) return { kind: 'failed', code: error.code, message: error.message }
    log.error({ err: error }, 'A verb met a defect')
    return { kind: 'failed', code: 'SYS_INTERNAL', message: 'internal error' }
  }

  /** After the commit: watchers and the stream hear how it ended. */
  function tell(claimed: Claimed, end: Ended<unknown>): void {
    const { tenantId, id, traceId, startedAt } = claimed
    const now = clock.now()
    if (core.tracer.on) {
      const attempt = attemptOf(claimed)
      core.tracer.ran(attempt, startedAt, now, end.kind)
      core.tracer.ended(attempt, claimed.createdAt, now, end.kind)
    }
    signals.emit(tenantId, id, { kind: 'ended', end, at: now })
    const executionMs = BigInt(Math.max(0, now - startedAt))
    signals.show(tenantId, {
      traceId,
      senderId: 'wheelhouse',
      at: now,
      payload: {
        case: 'jobResult',
        value:
          end.kind === 'succeeded'
            ? { jobId: id, status: JobStatus.SUCCEEDED, resultPtr: resultPointer(id), executionMs }
            : { jobId: id, status: FAILED[end.kind], errorCode: end.code, errorMessage: end.message, executionMs },
      },
    })
  }

  /** Ends the job and settles its verb's rows in one transaction. A claim that is no longer ours changes nothing. */
  async function finish(active: Active, verb: Verb, input: unknown, end: Ended<unknown>): Promise<void> {
    const { claimed } = active
    const { tenantId, id, fence } = claimed
    for (let tries = 1; ; tries++) {
      try {
        const ended = await db.tenant(tenantId, async (tx) => {
          const failure = end.kind === 'succeeded' ? undefined : end
          const one = await endOne(tx, {
            id,
            fence,
            state: end.kind,
            ...(failure ? { code: failure.code, message: failure.message } : {}),
            result: end.output === undefined ? null : JSON.stringify(end.output),
            actor: claimed.principal ? actorOf(claimed.principal) : { kind: 'system', id, name: '', onBehalfOf: [] },
            now: clock.now(),
          })
          if (one) await verb.settle(tx, id, input, end)
          crashPoint('end:before-commit')
          return one
        })
        crashPoint('end:after-commit')
        dispatcher().forget(tenantId, id)
        if (ended) {
          core.told(tenantId, ended.runId)
          core.events.wake()
          tell(claimed, end)
        }
        return
      } catch (error) {
        const away = error instanceof Fault && error.code === 'SYS_UNAVAILABLE'
        if (!away && tries >= 3) {
          // The effect happened and cannot be told of: it must neither be repeated nor look as if it went well.
          log.error({ err: error, jobId: id, verb: verb.name }, 'A verb could not settle; its job ends without')
          await db.tenant(tenantId, (tx) =>
            endOne(tx, {
              id,
              fence,
              state: 'failed',
              code: 'settle_failed',
              message: 'the outcome could not be recorded in full',
              actor: { kind: 'system', id, name: 'Wheelhouse', onBehalfOf: [] },
              now: clock.now(),
            }),
          )
          dispatcher().forget(tenantId, id)
          tell(claimed, {
            kind: 'failed',
            code: 'settle_failed',
            message: 'the outcome could not be recorded in full',
          })
          return
        }
        log.warn({ err: error, jobId: id }, 'The end of a job could not be written; it is tried again')
        await new Promise((resolve) => setTimeout(resolve, Math.min(5000, 200 * tries)))
      }
    }
  }

  return {
    run(active) {
      const { claimed } = active
      const controller = new AbortController()
      active.abort = controller
      const verb = core.verbs.find(claimed.verb ?? '')
      const work = verb
        ? perform(active, verb, controller)
        : db
            .tenant(claimed.tenantId, (tx) =>
              endOne(tx, {
                id: claimed.id,
                fence: claimed.fence,
                state: 'failed',
                code: 'verb_unknown',
                message: `this server knows no verb ${claimed.verb}`,
                actor: { kind: 'system', id: claimed.id, name: 'Wheelhouse', onBehalfOf: [] },
                now: clock.now(),
              }),
            )
            .then(() => void dispatcher().forget(claimed.tenantId, claimed.id))
      const done = work
        .catch((error: unknown) => {
          // The claim stays: its lease runs out, and the job is taken over.
          log.error({ err: error, jobId: claimed.id }, 'A job could not be brought to its end')
          dispatcher().forget(claimed.tenantId, claimed.id)
        })
        .finally(() => {
          running.delete(active)
          dispatcher().kick()
        })
      running.set(active, done)
    },
    size: () => running.size,
    async stop() {
      const left = [...running.keys()]
      for (const { abort } of left) abort?.abort(new Detached('the server stops'))
      await Promise.race([
        Promise.allSettled(running.values()),
        new Promise((resolve) => setTimeout(resolve, 3000).unref()),
      ])
      const claims = left.filter((active) => dispatcher().find(active.claimed.tenantId, active.claimed.id) === active)
      if (claims.length === 0) return
      for (const { claimed } of claims) dispatcher().forget(claimed.tenantId, claimed.id)
      await db.engine((tx) =>
        release(
          tx,
          claims.map(({ claimed: { tenantId, id, fence } }) => ({ tenantId, id, fence, runAt: null })),
        ),
      )
    },
  }
}
