import { randomInt } from 'node:crypto'
import { Fault } from '@wheelhouse/contract'
import { JobStatus } from '@wheelhouse/contract/proto/cap_pb'
import { Detached } from '../agents/index.ts'
import { encodePacket, newPacket } from '../bus/index.ts'
import { ids } from '../clock/index.ts'
import { sql, type Tx } from '../db/index.ts'
import { publish } from '../events/index.ts'
import { actorOf, type Principal } from '../identity/index.ts'
import { type Again, submitAgain } from './again.ts'
import type { Active } from './active.ts'
import { type Brakes, openBrakes } from './brakes.ts'
import { type Bulk, openBulk } from './bulk.ts'
import { type Core, type JobsOptions, openVerbs } from './core.ts'
import { type Dispatcher, openDispatcher } from './dispatcher.ts'
import { endOne, SYSTEM_ACTOR } from './ends.ts'
import { openFair } from './fair.ts'
import { openFrozen } from './frozen.ts'
import { type Holds, openHolds } from './holds.ts'
import type { Jobs, JobState, Submitted, TerminalState } from './jobs.ts'
import { openOutputs } from './output.ts'
import { openReplicas } from './replicas.ts'
import { openBusDoors } from './results.ts'
import { openRunner } from './runner.ts'
import { openSignals, type Signals } from './signals.ts'
import { attemptOf } from './spans.ts'
import { openSlots } from './slots.ts'
import { jobState, type QueueState } from './state.ts'
import type { NewJob } from './prepare.ts'
import { openSubmission, type StepJob, type StepSubmitted, type Submission } from './submission.ts'
import { openSweeps } from './sweeps.ts'
import { openWaiting } from './waiting.ts'
import { openWorkers, type Workers } from './workers.ts'

/** A bus that went away without a word is noticed after so long at most (three pings): what was sent in that time is in doubt. */
const IN_DOUBT_MS = 30_000
/** A job that was sent so lately may be overtaken by a cancel from another replica. */
const OVERTAKEN_MS = 2_000

/** The whole engine: what domains use, what the jobs surface needs beside it, and its life. */
export interface JobEngine extends Jobs {
  submitBatched(principal: Principal, job: NewJob): Promise<Submitted>
  /** Submits a stored job once more as it was, under a new id; policy decides anew. Throws JOB_NOT_FOUND, RES_CONFLICT while it lives. */
  submitAgain(principal: Principal, jobId: string, again: Again): Promise<Submitted>
  /** Steps of a run, many at once within the run's transaction. What may not be submitted is told in its place; nothing throws for it. */
  submitMany(tx: Tx, principal: Principal, jobs: readonly StepJob[]): Promise<StepSubmitted[]>
  foresee: Submission['foresee']
  /** Hears, in this process, of runs that have something to take in. What is missed stands in `run_inbox`. */
  onRunWork(listener: (tenantId: string, runId: string) => void): void
  holds: Holds
  workers: Workers
  /** What people paused, drained and limited. */
  brakes: Brakes
  /** One act on many jobs. */
  bulk: Bulk
  /** Packets for the stream's sockets of one tenant; `showPacket` adds one. */
  frames: Signals['frames']
  showPacket: Signals['showPacket']
  /** Begins to dispatch, to listen to the bus and to sweep. Without it jobs are taken and kept (a replica without the role `engine`). */
  start(): Promise<void>
  /** Lets running verbs go, stores what is in flight. What workers do goes on. */
  stop(): Promise<void>
}

export function openJobs(options: JobsOptions): JobEngine {
  const { db, clock, bus, log } = options
  const owner = randomInt(1, 2 ** 31 - 1)
  const replicas = openReplicas(bus, ids.next())
  const signals = openSignals(options)
  const runListeners: ((tenantId: string, runId: string) => void)[] = []
  let started = false
  let dispatcher: Dispatcher | undefined
  const core: Core = {
    ...options,
    replicas,
    signals,
    workers: openWorkers({ db, replicas, clock, log }),
    verbs: openVerbs(),
    brakes: openBrakes(options),
    fair: openFair(options),
    slots: openSlots(options),
    frozen: openFrozen(options, { end, scan: () => made.scan() }),
    owner,
    lend: (row) => (started ? dispatcher?.lend(row) : undefined),
    hint(pool, tenantId) {
      if (started) dispatcher?.hint(pool, tenantId)
      else bus.wake('jobs')
    },
    told(tenantId, runId) {
      if (runId !== null) for (const listener of runListeners) listener(tenantId, runId)
    },
    ended(tenantId, jobId) {
      // Another replica may be the one that works on it.
      if (!letGo(tenantId, jobId)) replicas.tell('wh.stop', { tenantId, jobId })
      dispatcher?.kick()
    },
  }
  /** Takes a job that has ended otherwise off this replica's list and stops what runs for it. Undefined: it is not on that list. */
  function letGo(tenantId: string, jobId: string): Active | undefined {
    const active = dispatcher?.withdraw(tenantId, jobId)
    active?.abort?.abort(new Fault('JOB_CANCELLED'))
    return active
  }

  /** The replica that ended it has told the worker, perhaps before the job that we sent a moment ago was there. */
  function letGoByOther(tenantId: string, jobId: string): void {
    const active = letGo(tenantId, jobId)
    if (active && clock.now() - active.sentAt < OVERTAKEN_MS) recall(active)
  }

  function recall({ worker, claimed }: Active): void {
    const account = worker?.account ?? claimed.account
    if (account !== null && claimed.verb === null) tellWorker(claimed.tenantId, account, claimed.id, 'cancelled')
  }

  const outputs = openOutputs({ ...options, signals })
  const submission = openSubmission(core)
  const holds = openHolds(core)
  const waiting = openWaiting({ db, signals, submit: submission.submit })

  /** Writes the end of a job that did not come from who works on it, settles its verb, and tells everybody after the commit. */
  async function end(
    tx: Tx,
    jobId: string,
    outcome: { state: Exclude<TerminalState, 'succeeded'>; code: string; message: string; fence?: number },
    by?: Principal,
  ): Promise<boolean> {
    const { state, code, message, fence } = outcome
    const now = clock.now()
    const actor = by ? actorOf(by) : SYSTEM_ACTOR
    const ended = await endOne(tx, {
      id: jobId,
      state,
      code,
      message,
      actor,
      now,
      ...(fence === undefined ? {} : { fence }),
    })
    if (!ended) return false
    const verb = ended.verb === null ? undefined : core.verbs.find(ended.verb)
    if (verb) await verb.settle(tx, jobId, JSON.parse(ended.context ?? 'null'), { kind: state, code, message })
    await options.approvals.withdraw(tx, 'job', jobId)
    const { tenantId } = tx
    tx.afterCommit(() => {
      if (core.tracer.on) {
        const attempt = attemptOf({ ...ended, tenantId, id: jobId })
        if (ended.wasLeased) core.tracer.ran(attempt, ended.startedAt ?? now, now, state)
        core.tracer.ended(attempt, ended.createdAt, now, state)
      }
      if (ended.wasLeased) {
        core.ended(tenantId, jobId)
        if (ended.account !== null) tellWorker(tenantId, ended.account, jobId, message)
      }
      core.told(tenantId, ended.runId)
      signals.emit(tenantId, jobId, { kind: 'ended', end: { kind: state, code, message }, at: now })
      signals.show(tenantId, {
        traceId: ended.traceId,
        senderId: 'scheduler',
        at: now,
        payload: { case: 'jobResult', value: { jobId, status: STATUS[state], errorCode: code, errorMessage: message } },
      })
      core.events.wake()
    })
    return true
  }

  /** Every worker of the tenant hears of it (decisions D2); the row that reminds us goes. Lost ones are told by the sweep. */
  function tellWorker(tenantId: string, account: string, jobId: string, reason: string): void {
    const packet = newPacket(jobId, 'api-gateway', clock.now(), {
      case: 'jobCancel',
      value: { jobId, reason, requestedBy: 'api-gateway' },
    })
    const bytes = encodePacket(packet)
    if (!bus.toAccount(account, 'sys.job.cancel', bytes)) return
    signals.showPacket(tenantId, packet, bytes)
    db.tenant(tenantId, (tx) => tx.run(sql`delete from job_queue where id = ${jobId} and state = 'cancelling'`)).catch(
      (error: unknown) =>
        log.warn({ err: error, jobId }, 'A cancelled job is still in the queue; the sweep removes it'),
    )
  }

  async function cancel(tx: Tx, principal: Principal, jobId: string, reason: string) {
    if (await end(tx, jobId, { state: 'cancelled', code: 'cancelled', message: reason }, principal))
      return { state: 'cancelled' as const, changed: true }
    const state = await stateIn(tx, jobId)
    if (!state) throw new Fault('JOB_NOT_FOUND')
    return { state: state as TerminalState, changed: false }
  }

  const runner = openRunner(core, outputs, () => {
    if (!dispatcher) throw new Error('the dispatcher is not there')
    return dispatcher
  })
  const made = openDispatcher(core, {
    run: (active) => runner.run(active),
    async refuse(claimed, outcome) {
      await db.tenant(claimed.tenantId, (tx) => end(tx, claimed.id, { ...outcome, fence: claimed.fence }))
    },
    detach: (active) => active.abort?.abort(new Detached('the lease was lost')),
    recall,
    async holdAgain(claimed) {
      const { tenantId, id, request, context } = claimed
      await db.tenant(tenantId, async (tx) => {
        const row = await tx.maybe<{
          facts: Record<string, unknown> | null
          principal: Principal
          context: string | null
        }>(sql`
          select f.body as facts, pr.principal, j.context from jobs j
            join job_principals pr on pr.tenant_id = j.tenant_id and pr.hash = j.principal_hash
            join decisions d on d.tenant_id = j.tenant_id and d.job_id = j.id and d.id = j.decision_id
            left join facts f on f.tenant_id = d.tenant_id and f.hash = d.facts_hash
           where j.id = ${id}`)
        const { snapshot } = await options.policy.current(tenantId)
        if (!row || !snapshot) return
        await openHoldAgain(tx, {
          id,
          request,
          context: context ?? row.context,
          facts: row.facts,
          principal: row.principal,
        })
      })
    },
  })
  dispatcher = made

  async function openHoldAgain(tx: Tx, job: Omit<Parameters<Holds['hold']>[1], 'decision'>): Promise<void> {
    const decision = await options.policy.evaluate(tx.tenantId, sweeps.policyRequestOf(job))
    if (decision.decision === 'REQUIRE_APPROVAL') await holds.hold(tx, { ...job, decision })
  }

  const again: JobEngine['submitAgain'] = (principal, jobId, how) =>
    submitAgain(db, submission.submitBatched, principal, jobId, how)
  const bulk = openBulk({
    db,
    clock,
    log,
    cancel,
    submitAgain: again,
  })
  const sweeps = openSweeps(core, { bulk, dispatcher: made, holds, end, tellWorker })
  let doors: ReturnType<typeof openBusDoors> | undefined
  const listening: { close(): void }[] = []
  let busLostAt: number | undefined
  const failed = (error: unknown): void =>
    log.warn({ err: error }, 'A step of the job engine failed; the sweep repeats it')
  const lose = (tenantId: string, workerIds: readonly string[]): void =>
    void made.workersLost(core.workers.lose(tenantId, workerIds)).catch(failed)
  bus.onDisconnect(() => (busLostAt ??= clock.now()))
  bus.onReconnect(() => {
    const since = (busLostAt ?? clock.now()) - IN_DOUBT_MS
    busLostAt = undefined
    if (!started) return
    // What has ended meanwhile must not be done again.
    void Promise.resolve(doors?.drain())
      .catch(failed)
      .then(() => made.resend(since))
  })

  return {
    holds,
    workers: core.workers,
    brakes: core.brakes,
    bulk,
    frames: signals.frames,
    register: (verb) => core.verbs.add(verb),
    verb: (nameOrTopic) => core.verbs.find(nameOrTopic),
    verbs: () => core.verbs.all(),
    submit: submission.submit,
    submitBatched: submission.submitBatched,
    submitAgain: again,
    submitMany: submission.submitMany,
    foresee: submission.foresee,
    submitAndWait: waiting.submitAndWait,
    wait: waiting.wait,
    showPacket: signals.showPacket,
    onRunWork: (listener) => void runListeners.push(listener),

    cancel,
    output: (tenantId, jobId, afterSeq = 0) => outputs.read(tenantId, jobId, afterSeq),
    watch: (tenantId, jobId, listener) => signals.watch(tenantId, jobId, listener),

    async start() {
      await core.workers.start()
      await bus.ensureResults()
      doors = openBusDoors(core, {
        submission,
        dispatcher: made,
        async cancel(tenantId, jobId, reason, by) {
          await db
            .tenant(tenantId, async (tx) => {
              const { changed } = await cancel(tx, by, jobId, reason)
              if (changed)
                await publish(tx, {
                  type: 'job.cancel-requested',
                  resource: { kind: 'job', id: jobId },
                  actor: actorOf(by),
                  data: { reason },
                  at: clock.now(),
                })
            })
            .catch((error: unknown) => {
              if (!(error instanceof Fault)) throw error
            })
        },
      })
      listening.push(
        bus.onWake('jobs', () => void made.scan().catch(failed)),
        replicas.hear('wh.stop', ({ tenantId, jobId }) => letGoByOther(tenantId, jobId)),
        replicas.hear('wh.workers-gone', ({ tenantId, workerIds }) => lose(tenantId, workerIds)),
      )
      core.workers.onChange(() => made.kick())
      core.brakes.onChange(() => {
        core.fair.forget()
        void core.brakes
          .settle()
          .then(() => made.scan())
          .catch(failed)
      })
      options.identity.onChanged(() => void core.frozen.refresh().catch(failed))
      options.identity.onWorkersGone((tenantId, workerIds) => {
        replicas.tell('wh.workers-gone', { tenantId, workerIds })
        lose(tenantId, workerIds)
      })
      await core.frozen.refresh().catch(failed)
      started = true
      // Results that came meanwhile first: what has ended must not be done again.
      await doors.drain().catch(failed)
      await sweeps.start(doors)
      await made.scan()
    },

    async stop() {
      started = false
      for (const each of listening) each.close()
      await sweeps.stop()
      await bulk.close()
      await made.stop()
      await runner.stop()
      doors?.close()
      await submission.idle()
      await doors?.idle()
      await outputs.close()
      await core.workers.close()
      core.brakes.close()
      signals.close()
    },
  }
}

const STATUS = {
  failed: JobStatus.FAILED,
  cancelled: JobStatus.CANCELLED,
  timed_out: JobStatus.TIMEOUT,
  denied: JobStatus.DENIED,
} as const

async function stateIn(tx: Tx, jobId: string): Promise<JobState | undefined> {
  const row = await tx.maybe<{ state: string; queue: QueueState | null }>(sql`
    select j.state, q.state as queue from jobs j left join job_queue q on q.tenant_id = j.tenant_id and q.id = j.id where j.id = ${jobId}`)
  return row && jobState(row.state, row.queue)
}
