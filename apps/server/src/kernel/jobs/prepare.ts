import { ids, type Instant } from '../clock/index.ts'
import type { Tx } from '../db/index.ts'
import { validate } from '../http/index.ts'
import type { Principal } from '../identity/index.ts'
import { type Decision, EFFECTIVE_CONFIG, type Facts } from '../policy/index.ts'
import { contextText, currentTrace, newTrace, readTraceparent, spanIdOf, traceIdOf } from '../traces/index.ts'
import type { Core } from './core.ts'
import { THROTTLE_MS, UNDECIDED_MS } from './delays.ts'
import type { SubmitOptions, Submitted } from './jobs.ts'
import { decide } from './policy.ts'
import { limitsFor, type Route, routeFor } from './pools.ts'
import { contextPointer, type JobRequest, placeOf, policyRequest, rankOf } from './request.ts'
import { spanOf } from './spans.ts'
import { microseconds, type NewRow } from './store.ts'
import type { Verb } from './verb.ts'

/** A submission from one of the public doors: REST, gRPC, the bus. */
export interface NewJob {
  /** Chosen by the caller, else a new one. */
  jobId?: string
  traceId?: string
  request: JobRequest
  /** JSON text that the context pointer stands for; null when the pointer is the caller's own. */
  context: string | null
  key?: string
  /** The parent is named by the server, not by the caller. */
  ownParent?: true
  /** Of what the caller asked for, to tell whether a key is used for the same again; default: of request and context. */
  digest?: Buffer
}

/** The step of a run that a job is done for. */
export interface StepOf {
  runId: string
  key: string
}

/** A job as it would be recorded. */
export interface Prepared {
  row: NewRow
  state: Submitted['state']
}

/** The row of a job that policy has decided, but for a hold. Writes nothing. */
export async function prepare(
  core: Core,
  principal: Principal,
  job: NewJob,
  reported: Facts | null,
  more: { options?: SubmitOptions; verb?: Verb; step?: StepOf } = {},
): Promise<Prepared> {
  const { clock, policy, tenantConfig } = core
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
  const { decision, decided } = await decide(policy, principal.tenantId, policyRequest(id, request, facts ?? undefined))
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

/** The same of a verb: its schema holds the input, and the facts that policy sees are the verb's. Throws VAL_SCHEMA. */
export async function prepareVerb(
  core: Core,
  tx: Tx,
  principal: Principal,
  job: NewJob,
  verb: Verb,
  input: unknown,
  more: { options?: SubmitOptions; step?: StepOf } = {},
): Promise<{ job: NewJob; prepared: Prepared }> {
  const checked = validate(verb.input, input, 'body', false)
  const asVerb: NewJob = { ...job, request: asVerbRequest(job.request, verb), context: JSON.stringify(checked) }
  const facts = await verb.facts(tx, checked)
  return { job: asVerb, prepared: await prepare(core, principal, asVerb, facts, { ...more, verb }) }
}

/** The request of a verb that a domain submits. */
export function verbRequest(
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

/** A request by a topic that is a verb's. */
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
