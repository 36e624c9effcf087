import { Fault } from '@wheelhouse/contract'
import { JobStatus } from '@wheelhouse/contract/proto/cap_pb'
import type { Static, TSchema } from 'typebox'
import { ids, type Instant } from '../clock/index.ts'
import { sql, type Tx } from '../db/index.ts'
import { validate } from '../http/index.ts'
import { actingFor, can, type Principal } from '../identity/index.ts'
import { type Decision, EFFECTIVE_CONFIG, type Facts } from '../policy/index.ts'
import { openBatch } from './batch.ts'
import type { Core } from './core.ts'
import { crashPoint } from '../crash/index.ts'
import { THROTTLE_MS, UNDECIDED_MS } from './delays.ts'
import { askForJob } from './holds.ts'
import { claimKeys, type KeyClaim } from './job-keys.ts'
import type { SubmitOptions, Submitted } from './jobs.ts'
import { decide } from './policy.ts'
import { limitsFor, type Route, routeFor } from './pools.ts'
import {
  contextPointer,
  type JobRequest,
  placeOf,
  policyRequest,
  rankOf,
  requestDigest,
  workerRequest,
} from './request.ts'
import type { Loan } from './loans.ts'
import { insertJobs, microseconds, type NewRow, type Writer } from './store.ts'
import type { Verb } from './verb.ts'
import { contextText, currentTrace, newTrace, readTraceparent, spanIdOf, traceIdOf } from '../traces/index.ts'
import { spanOf } from './spans.ts'

/** A submission from one of the public doors: REST, gRPC, the bus. */
export interface NewJob {
  /** Chosen by the caller, else a new one. */
  jobId?: string
  traceId?: string
  request: JobRequest
  /** JSON text that the context pointer stands for; null when the pointer is the caller's own. */
  context: string | null
  key?: string
  /** Of what the caller asked for, to tell whether a key is used for the same again; default: of request and context. */
  digest?: Buffer
}

/** A job that a run does for one of its steps. */
export interface StepJob extends NewJob {
  jobId: string
  step: { runId: string; key: string }
  /** Of one attempt; default: the topic's or verb's. */
  timeoutMs?: number
}

/** `ended`: it was recorded and has ended with its submission. `refused`: nothing was recorded. */
export type StepSubmitted =
  | { state: 'ready' | 'held' | 'throttled'; approvalId?: string }
  | { state: 'ended'; end: 'denied' | 'failed'; code: string; message: string }
  | { state: 'refused'; code: string; message: string }

export interface Submission {
  /** Of a domain, in its transaction. */
  submit<I extends TSchema, O extends TSchema>(
    tx: Tx,
    principal: Principal,
    verb: Verb<I, O>,
    input: Static<I>,
    options?: SubmitOptions,
  ): Promise<Submitted>
  /** Of a public door: grouped with others into one commit. A topic of a verb takes the verb's permission and schema. */
  submitBatched(principal: Principal, job: NewJob): Promise<Submitted>
  /** Steps of a run: one statement for all of them, within the run's transaction. Denials and refusals are told in their places. */
  submitMany(tx: Tx, principal: Principal, jobs: readonly StepJob[]): Promise<StepSubmitted[]>
  /** What would become of such a job if it were submitted now; a refusal that is no policy's is told as a denial. Nothing is written. */
  foresee(tx: Tx, principal: Principal, job: StepJob): Promise<Pick<Decision, 'decision' | 'ruleId' | 'reason'>>
  idle(): Promise<void>
}

interface Prepared {
  row: NewRow
  state: Submitted['state']
}

export function openSubmission(core: Core): Submission {
  const { db, clock, policy, tenantConfig } = core

  /** The row of a job that policy has decided, but for a hold. */
  async function prepare(
    principal: Principal,
    job: NewJob,
    reported: Facts | null,
    more: { options?: SubmitOptions; verb?: Verb; step?: StepJob['step'] } = {},
  ): Promise<Prepared> {
    const { verb, options = {}, step = null } = more
    const { context } = job
    const id = job.jobId ?? ids.next()
    const now = clock.now()
    const request = traced(job.request, step?.runId)
    // What a run has begun is not refused half-way.
    if (step === null) await core.brakes.admit(principal.tenantId, request.topic)
    const { pools, timeouts } = await tenantConfig.routing(principal.tenantId)
    const place = placeOf(request)
    const config =
      tenantConfig.peek(principal.tenantId, place) ?? (await tenantConfig.effective(principal.tenantId, place))
    // What the configuration forbids is a fact that policy saw, kept with the decision (jobs.md 20.3 step 6).
    const facts = config.safety ? { ...reported, [EFFECTIVE_CONFIG]: config.safety } : reported
    const { decision, decided } = await decide(
      policy,
      principal.tenantId,
      policyRequest(id, request, facts ?? undefined),
    )
    if (core.tracer.on) core.tracer.decided(spanOf(principal.tenantId, id, request), now, clock.now(), decision)
    const route = routeFor(pools, request)
    const limits = verb
      ? { timeoutMs: options.timeoutMs ?? verb.timeoutMs, maxAttempts: verb.maxAttempts }
      : topicLimits(limitsFor(timeouts, request), options)
    const state = stateOf(decision, route)
    const { deadline, timeoutMs, maxAttempts } = bounded(now, request, decision, limits)
    const common = {
      id,
      traceId: job.traceId ?? ids.next(),
      at: now,
      us: microseconds(now),
      n: route && state !== 'held' ? await core.fair.next(lineOf(principal, route, request), principal.id) : 0,
      principal,
      request: { ...request, contextPtr: request.contextPtr ?? contextPointer(id) },
      context,
      decision,
      decisionId: ids.next(),
      facts,
      step,
      jobHash: null,
      approvalId: null,
      executor: executorOf(options, verb),
      pool: route?.pool ?? '',
      maxAttempts,
      timeoutMs,
      deadline,
    }
    const paused = core.brakes.of(principal.tenantId).topics.has(request.topic)
    return {
      state,
      row: { ...common, queue: queueOf(decision, decided, route, now, paused), ended: endOf(decision, route) },
    }
  }

  /** Asks for the approval that the decision demands. */
  async function hold(tx: Tx, row: NewRow): Promise<NewRow> {
    const { approval, hash } = await askForJob(core, tx, row)
    return { ...row, jobHash: hash, approvalId: approval.id, queue: { state: 'held', runAt: null, lease: null } }
  }

  async function submitIn(tx: Tx, principal: Principal, job: NewJob, prepared: Prepared): Promise<Submitted> {
    if (job.key !== undefined) {
      const claimed = await claimKeys(tx, [keyOf(principal, job, prepared.row)])
      const known = claimed[0]
      if (known) return replayed(known, prepared)
    }
    const row = prepared.state === 'held' ? await hold(tx, prepared.row) : prepared.row
    const made = await insertJobs(tx, [row])
    if (made.size === 0) return replayed({ jobId: row.id, traceId: row.traceId, conflict: false }, prepared)
    crashPoint('submit:before-commit')
    tx.afterCommit(() => {
      crashPoint('submit:after-commit')
      announce(row)
      core.events.wake()
    })
    return submitted(row, prepared.state)
  }

  /** After the commit: the dispatcher, watchers and the stream hear of it. */
  function announce(row: NewRow, loan?: Loan): void {
    const { principal, request, id, traceId } = row
    if (loan) loan.go()
    else if (row.queue?.state === 'ready') core.hint(row.pool, principal.tenantId)
    core.signals.show(principal.tenantId, {
      traceId,
      senderId: 'api-gateway',
      at: row.at,
      // Made only when somebody watches.
      payload: () => ({
        case: 'jobRequest',
        value: workerRequest({ jobId: id, request, fence: 0, constraints: null, remainingMs: row.timeoutMs }),
      }),
    })
    if (!row.ended) return
    const { state, code, message } = row.ended
    core.tracer.ended(spanOf(principal.tenantId, id, request), row.at, row.at, state)
    core.signals.emit(principal.tenantId, id, { kind: 'ended', at: row.at, end: { kind: state, code, message } })
    core.signals.show(principal.tenantId, {
      traceId,
      senderId: 'scheduler',
      at: row.at,
      payload: {
        case: 'jobResult',
        value: {
          jobId: id,
          status: state === 'denied' ? JobStatus.DENIED : JobStatus.FAILED,
          errorCode: code,
          errorMessage: message,
        },
      },
    })
  }

  interface Item {
    row: NewRow
    key: KeyClaim | null
  }
  type Known = Awaited<ReturnType<typeof claimKeys>>[number]

  /** Records what is new of a batch. A job for which a worker is free goes into the queue as claimed: one commit less, and no wait. */
  async function record(
    writer: Writer,
    items: readonly Item[],
    knownByKey: ReadonlyMap<KeyClaim, Known>,
    loans: Map<NewRow, Loan>,
  ): Promise<{ known: Known }[]> {
    const fresh = dedupe(items.flatMap(({ row, key }) => (key && knownByKey.get(key) ? [] : [row])))
    const rows = fresh.map((row): NewRow => {
      const loan = core.lend(row)
      if (!loan || !row.queue) return row
      loans.set(row, loan)
      return { ...row, queue: { ...row.queue, lease: loan.lease } }
    })
    const made = rows.length === 0 ? new Set<string>() : await insertJobs(writer, rows)
    return items.map(({ row, key }) => {
      const known = key ? knownByKey.get(key) : undefined
      if (known) return { known }
      const isNew = made.has(`${row.principal.tenantId} ${row.id}`)
      return { known: isNew ? undefined : { jobId: row.id, traceId: row.traceId, conflict: false } }
    })
  }

  /** With keys in a transaction, since a key stands for its job; else one statement that commits by itself. */
  async function recordBatch(items: readonly Item[], loans: Map<NewRow, Loan>): Promise<{ known: Known }[]> {
    const keyed = items.flatMap(({ key }) => (key ? [key] : []))
    if (keyed.length === 0) {
      crashPoint('submit:before-commit')
      return record({ query: db.engineQuery, afterCommit: (run) => run() }, items, new Map(), loans)
    }
    return db.engine(async (tx) => {
      // A second try begins anew.
      for (const loan of loans.values()) loan.back()
      loans.clear()
      const claimed = await claimKeys(tx, keyed)
      const found = await record(tx, items, new Map(keyed.map((key, index) => [key, claimed[index]])), loans)
      crashPoint('submit:before-commit')
      return found
    })
  }

  const batch = openBatch<Item, { known: Known }>({ name: 'submit', log: core.log }, async (items) => {
    const loans = new Map<NewRow, Loan>()
    const done = await recordBatch(items, loans).catch((error: unknown) => {
      for (const loan of loans.values()) loan.lost()
      throw error
    })
    crashPoint('submit:after-commit')
    for (const [index, { known }] of done.entries()) {
      const row = items[index]?.row
      if (!row) continue
      const loan = loans.get(row)
      if (!known) announce(row, loan)
      else loan?.back()
    }
    core.events.wake()
    return done
  })

  return {
    async submit(tx, principal, verb, input, options = {}) {
      const checked = validate(verb.input, structuredClone(input), 'body', false) as Static<typeof verb.input>
      const request = verbRequest(principal, verb, options)
      const job: NewJob = {
        request,
        context: JSON.stringify(checked),
        ...(options.key === undefined ? {} : { key: options.key }),
        ...(options.traceId === undefined ? {} : { traceId: options.traceId }),
      }
      const facts = await verb.facts(tx, checked)
      return submitIn(
        tx,
        principal,
        job,
        await prepare(principal, job, facts, { options, verb: verb as unknown as Verb }),
      )
    },

    async submitBatched(caller, job) {
      const principal = await forParent(caller, job.request)
      const verb = core.verbs.find(job.request.topic)
      if (job.request.topic.startsWith('job.wh.')) {
        if (!verb) throw new Fault('VAL_SCHEMA', { topic: job.request.topic }, { message: 'there is no such verb' })
        return submitVerb(principal, job, verb)
      }
      const prepared = await prepare(principal, job, null)
      if (prepared.state === 'held')
        return db.tenant(principal.tenantId, (tx) => submitIn(tx, principal, job, prepared))
      const key = job.key === undefined ? null : keyOf(principal, job, prepared.row)
      const { known } = await batch.add({ row: prepared.row, key })
      return known ? replayed(known, prepared) : submitted(prepared.row, prepared.state)
    },

    async submitMany(tx, principal, jobs) {
      const rows: NewRow[] = []
      const told: StepSubmitted[] = []
      const ready_: (Prepared | { refused: Fault })[] = []
      for (const job of jobs) ready_.push(await readyStep(tx, principal, job).catch(refusal))
      // An approval is not asked for in the name of a job that is somebody else's.
      const held = ready_.flatMap((each) => ('row' in each && each.state === 'held' ? [each.row.id] : []))
      const taken = held.length === 0 ? new Set<string>() : await thoseThere(tx, held)
      for (const ready of ready_) {
        if ('refused' in ready) {
          told.push({ state: 'refused', code: ready.refused.code, message: ready.refused.message })
          continue
        }
        if (taken.has(ready.row.id)) {
          told.push(refusedAsTaken(ready.row.id))
          continue
        }
        const row = ready.state === 'held' ? await hold(tx, ready.row) : ready.row
        rows.push(row)
        told.push(
          row.ended
            ? { state: 'ended', end: row.ended.state, code: row.ended.code, message: row.ended.message }
            : {
                state: ready.state === 'denied' ? 'ready' : ready.state,
                ...(row.approvalId === null ? {} : { approvalId: row.approvalId }),
              },
        )
      }
      if (rows.length === 0) return told
      const made = await insertJobs(tx, rows)
      const isMade = ({ id }: { id: string }): boolean => made.has(`${principal.tenantId} ${id}`)
      const lost = new Set(rows.filter((row) => !isMade(row)).map(({ id }) => id))
      crashPoint('submit:before-commit')
      tx.afterCommit(() => {
        crashPoint('submit:after-commit')
        for (const row of rows) if (isMade(row)) announce(row)
        core.events.wake()
      })
      // Nobody would tell the run of the end of a job that is not its own.
      return told.map((each, index) =>
        lost.has(jobs[index]?.jobId ?? '') ? refusedAsTaken(jobs[index]?.jobId ?? '') : each,
      )
    },

    async foresee(tx, principal, job) {
      const ready = await readyStep(tx, principal, job).catch(refusal)
      if ('refused' in ready) return { decision: 'DENY', ruleId: '', reason: ready.refused.message }
      const { ended, decision } = ready.row
      return ended?.state === 'failed' ? { ...decision, decision: 'DENY', reason: ended.message } : decision
    },

    idle: () => batch.idle(),
  }

  /** A step's job as it would be recorded. Verbs of workflows themselves go with the right to run one; others need their own right. */
  async function readyStep(tx: Tx, principal: Principal, job: StepJob): Promise<Prepared> {
    const { step, timeoutMs, request } = job
    const options: SubmitOptions = timeoutMs === undefined ? {} : { timeoutMs }
    if (!request.topic.startsWith('job.wh.')) return prepare(principal, job, null, { options, step })
    const verb = core.verbs.find(request.topic)
    if (!verb) throw new Fault('VAL_SCHEMA', { topic: request.topic }, { message: `there is no verb ${request.topic}` })
    const right = verb.name.startsWith('workflow:') ? 'workflow:execute' : verb.name
    if (!can(principal, right)) throw new Fault('PERM_DENIED', { required: right, roles: principal.roles })
    const given: unknown = job.context === null ? {} : JSON.parse(job.context)
    const checked = validate(verb.input, given, 'body', false)
    const asVerb: StepJob = { ...job, context: JSON.stringify(checked), request: asVerbRequest(request, verb) }
    return prepare(principal, asVerb, await verb.facts(tx, checked), { options, verb, step })
  }

  /**
   * Who submits while it works on another job does so on behalf of whoever that one is done for, and may do no more than they. A parent
   * that does not run, or is named by one who is no worker, is a label alone.
   */
  async function forParent(principal: Principal, { parentJobId }: JobRequest): Promise<Principal> {
    if (parentJobId === undefined || !can(principal, 'worker:connect')) return principal
    const parent = await db.tenant(principal.tenantId, (tx) =>
      tx.maybe<{ principal: Principal }>(sql`
        select pr.principal from jobs j
          join job_queue q on q.tenant_id = j.tenant_id and q.id = j.id and q.state = 'leased'
          join job_principals pr on pr.tenant_id = j.tenant_id and pr.hash = j.principal_hash
         where j.id = ${parentJobId}`),
    )
    return parent ? actingFor(principal, parent.principal) : principal
  }

  /** A verb by its topic, through a public door: the same right and the same schema as through its own endpoint. */
  async function submitVerb(principal: Principal, job: NewJob, verb: Verb): Promise<Submitted> {
    if (!can(principal, verb.name)) throw new Fault('PERM_DENIED', { required: verb.name, roles: principal.roles })
    const given: unknown = job.context === null ? {} : JSON.parse(job.context)
    const input = inputOf(given)
    const checked = validate(verb.input, structuredClone(input), 'body', false)
    return db.tenant(principal.tenantId, async (tx) => {
      const facts = await verb.facts(tx, checked)
      const asVerb: NewJob = { ...job, request: asVerbRequest(job.request, verb), context: JSON.stringify(checked) }
      return submitIn(tx, principal, asVerb, await prepare(principal, asVerb, facts, { verb }))
    })
  }
}

/** The context document of a public submit wraps what the caller gave (jobs.md 5): for a verb that is its input. */
function inputOf(document: unknown): unknown {
  if (typeof document !== 'object' || document === null || !('prompt' in document)) return document
  return 'context' in document ? document.context : {}
}

function verbRequest(
  principal: Principal,
  verb: Pick<Verb, 'name' | 'topic' | 'risk'>,
  options: SubmitOptions,
): JobRequest {
  return {
    topic: verb.topic,
    tenant: principal.tenantSlug,
    principalId: principal.subject,
    verb: verb.name,
    ...(options.labels === undefined ? {} : { labels: options.labels }),
    ...(options.parentJobId === undefined ? {} : { parentJobId: options.parentJobId }),
    meta: {
      actorId: principal.subject,
      actorType: principal.kind === 'user' ? 'human' : 'service',
      riskTags: verb.risk,
      ...(options.key === undefined ? {} : { idempotencyKey: options.key }),
    },
  }
}

const thoseThere = async (tx: Tx, jobIds: readonly string[]): Promise<Set<string>> =>
  new Set(
    (await tx.many<{ id: string }>(sql`select id from jobs where id = any(${[...jobIds]}::text[])`)).map(
      ({ id }) => id,
    ),
  )

const refusedAsTaken = (id: string): StepSubmitted => ({
  state: 'refused',
  code: 'job_id_taken',
  message: `there is a job ${id} already that is not this step's`,
})

/** A refusal that belongs to its step; anything else is a defect or an outage of the whole. */
function refusal(error: unknown): { refused: Fault } {
  if (error instanceof Fault && error.status < 500) return { refused: error }
  throw error
}

const asVerbRequest = (request: JobRequest, verb: Verb): JobRequest => ({
  ...request,
  verb: verb.name,
  meta: { ...request.meta, riskTags: [...new Set([...(request.meta?.riskTags ?? []), ...verb.risk])] },
})

const topicLimits = (limits: { timeoutMs: number; maxAttempts: number }, { timeoutMs }: SubmitOptions) =>
  timeoutMs === undefined ? limits : { ...limits, timeoutMs }

function executorOf(options: SubmitOptions, verb: Verb | undefined): NewRow['executor'] {
  if (!verb) return { kind: 'worker', id: null }
  return options.executor?.kind === 'agent'
    ? { kind: 'agent', id: options.executor.agentId }
    : { kind: 'server', id: null }
}

function stateOf({ decision }: Decision, route: Route | undefined): Submitted['state'] {
  if (decision === 'DENY' || !route) return 'denied'
  if (decision === 'REQUIRE_APPROVAL') return 'held'
  return decision === 'THROTTLE' ? 'throttled' : 'ready'
}

function queueOf(
  { decision }: Decision,
  decided: boolean,
  route: Route | undefined,
  now: Instant,
  paused: boolean,
): NewRow['queue'] {
  if (decision === 'DENY' || !route) return null
  if (decision === 'THROTTLE')
    return { state: 'undecided', runAt: now + (decided ? THROTTLE_MS : UNDECIDED_MS), lease: null }
  return { state: paused ? 'paused' : 'ready', runAt: null, lease: null }
}

const lineOf = (principal: Principal, { pool }: Route, request: JobRequest) => ({
  tenantId: principal.tenantId,
  pool,
  rank: rankOf(request),
})

/** jobs.md 17.1: a denial, or a topic that no pool serves, ends the job with its submission. */
function endOf({ decision, reason }: Decision, route: Route | undefined): NewRow['ended'] {
  if (decision === 'DENY') return { state: 'denied', code: 'safety_denied', message: reason }
  return route ? null : { state: 'failed', code: 'no_pool_mapping', message: 'no pool serves this topic' }
}

/** Times and tries: the caller's deadline is fixed at the submit, and policy's limits lower the rest (jobs.md 17.2, 17.5 with its fixes). */
function bounded(
  now: Instant,
  { budget }: JobRequest,
  { constraints }: Decision,
  limits: { timeoutMs: number; maxAttempts: number },
) {
  const asked = budget?.deadlineMs ?? 0
  const { maxRuntimeMs = 0, maxRetries = 0 } = constraints?.budgets ?? {}
  return {
    deadline: asked > 0 ? now + asked : null,
    timeoutMs: maxRuntimeMs > 0 ? Math.min(limits.timeoutMs, maxRuntimeMs) : limits.timeoutMs,
    maxAttempts: maxRetries > 0 ? Math.min(limits.maxAttempts, 1 + maxRetries) : limits.maxAttempts,
  }
}

/**
 * The request with its W3C trace context: that of what it continues, else of the request that the caller makes, else a new trace. The
 * steps of one run are one trace, whoever drives them and when.
 */
function traced(request: JobRequest, runId: string | undefined): JobRequest {
  if (request.traceparent !== undefined) return request
  const given = readTraceparent(request.env?.['traceparent'])
  const ofRun = runId === undefined ? undefined : newTrace(traceIdOf(runId), spanIdOf('workflow run', runId))
  return { ...request, traceparent: contextText(given ?? ofRun ?? currentTrace() ?? newTrace()) }
}

const KEY_LIFE_MS = 7 * 24 * 3_600_000

const keyOf = (principal: Principal, { key = '', request, context, digest }: NewJob, row: NewRow): KeyClaim => ({
  tenantId: principal.tenantId,
  key,
  jobId: row.id,
  traceId: row.traceId,
  digest: digest ?? requestDigest(request, context),
  at: row.at,
  expiresAt: row.at + KEY_LIFE_MS,
})

function replayed(known: { jobId: string; traceId: string; conflict: boolean }, { row, state }: Prepared): Submitted {
  if (known.conflict) throw new Fault('RES_IDEMPOTENCY_CONFLICT', {}, { message: 'idempotency key already used' })
  return { jobId: known.jobId, traceId: known.traceId, state, decision: row.decision, replayed: true }
}

const submitted = (row: NewRow, state: Submitted['state']): Submitted => ({
  jobId: row.id,
  traceId: row.traceId,
  state,
  decision: row.decision,
  replayed: false,
  ...(row.approvalId === null ? {} : { approvalId: row.approvalId }),
})

/** Of submissions that name the same job in one batch the first counts. */
function dedupe(rows: readonly NewRow[]): NewRow[] {
  const seen = new Set<string>()
  return rows.filter(({ principal, id }) => {
    const key = `${principal.tenantId} ${id}`
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}
