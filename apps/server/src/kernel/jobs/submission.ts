import { Fault } from '@wheelhouse/contract'
import { JobStatus } from '@wheelhouse/contract/proto/cap_pb'
import type { Static, TSchema } from 'typebox'
import { openBatch, sql, type Tx } from '../db/index.ts'
import { calledName, can, type Principal } from '../identity/index.ts'
import type { Decision } from '../policy/index.ts'
import type { Core } from './core.ts'
import { crashPoint } from '../crash/index.ts'
import { askForJob } from './holds.ts'
import { claimKeys, type KeyClaim } from './job-keys.ts'
import type { SubmitOptions, Submitted } from './jobs.ts'
import type { Loan } from './loans.ts'
import { openParents } from './parents.ts'
import { type NewJob, prepare, type Prepared, prepareVerb, type StepOf, verbRequest } from './prepare.ts'
import { requestDigest, workerRequest } from './request.ts'
import { spanOf } from './spans.ts'
import { insertJobs, type NewRow, type Writer } from './store.ts'
import type { Verb } from './verb.ts'

/** A job that a run does for one of its steps. */
export interface StepJob extends NewJob {
  jobId: string
  step: StepOf
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

export function openSubmission(core: Core): Submission {
  const { db } = core
  const parents = openParents(core)

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

  /** A job for which a worker is free goes into the queue as claimed: one commit less, and no wait. */
  function lendFor(rows: readonly NewRow[], loans: Map<NewRow, Loan>): NewRow[] {
    return rows.map((row) => {
      const loan = core.lend(row)
      if (!loan || !row.queue) return row
      loans.set(row, loan)
      return { ...row, queue: { ...row.queue, lease: loan.lease } }
    })
  }

  /** Records what is new of a batch. */
  async function record(
    writer: Writer,
    items: readonly Item[],
    knownByKey: ReadonlyMap<KeyClaim, Known>,
    loans: Map<NewRow, Loan>,
  ): Promise<{ known: Known }[]> {
    const fresh = dedupe(items.flatMap(({ row, key }) => (key && knownByKey.get(key) ? [] : [row])))
    const rows = lendFor(fresh, loans)
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
      const job: NewJob = {
        request: verbRequest(principal, verb, options),
        context: null,
        ...(options.key === undefined ? {} : { key: options.key }),
        ...(options.traceId === undefined ? {} : { traceId: options.traceId }),
      }
      return submitVerb(tx, principal, job, verb as unknown as Verb, structuredClone(input), options)
    },

    async submitBatched(caller, job) {
      const { parentJobId } = job.request
      const principal =
        parentJobId === undefined ? caller : await parents.actingBelow(caller, parentJobId, job.ownParent !== true)
      const verb = core.verbs.find(job.request.topic)
      if (job.request.topic.startsWith('job.wh.')) {
        if (!verb) throw new Fault('VAL_SCHEMA', { topic: job.request.topic }, { message: 'there is no such verb' })
        // The same right and the same schema as through the verb's own endpoint.
        if (!can(principal, verb.name)) throw new Fault('PERM_DENIED', { required: verb.name, roles: principal.roles })
        return db.tenant(principal.tenantId, (tx) => submitVerb(tx, principal, job, verb, inputOf(givenIn(job))))
      }
      const prepared = await prepare(core, principal, job, null)
      if (prepared.state === 'held')
        return db.tenant(principal.tenantId, (tx) => submitIn(tx, principal, job, prepared))
      const key = job.key === undefined ? null : keyOf(principal, job, prepared.row)
      const { known } = await batch.add({ row: prepared.row, key })
      return known ? replayed(known, prepared) : submitted(prepared.row, prepared.state)
    },

    async submitMany(tx, principal, jobs) {
      const rows: NewRow[] = []
      const told: StepSubmitted[] = []
      const prepared: (Prepared | { refused: Fault })[] = []
      for (const job of jobs) prepared.push(await readyStep(tx, principal, job).catch(refusal))
      // An approval is not asked for in the name of a job that is somebody else's.
      const held = prepared.flatMap((each) => ('row' in each && each.state === 'held' ? [each.row.id] : []))
      const taken = held.length === 0 ? new Set<string>() : await thoseThere(tx, held)
      for (const each of prepared) {
        if ('refused' in each) {
          told.push({ state: 'refused', code: each.refused.code, message: each.refused.message })
          continue
        }
        if (taken.has(each.row.id)) {
          told.push(refusedAsTaken(each.row.id))
          continue
        }
        const row = each.state === 'held' ? await hold(tx, each.row) : each.row
        rows.push(row)
        told.push(
          row.ended
            ? { state: 'ended', end: row.ended.state, code: row.ended.code, message: row.ended.message }
            : {
                state: each.state === 'denied' ? 'ready' : each.state,
                ...(row.approvalId === null ? {} : { approvalId: row.approvalId }),
              },
        )
      }
      if (rows.length === 0) return told
      const made = await insertSteps(tx, rows)
      const lost = new Set(rows.flatMap(({ id }) => (made.has(`${principal.tenantId} ${id}`) ? [] : [id])))
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

  /** Records jobs of steps within the run's transaction; they go on their way after its commit. Returns those that were new, as `insertJobs`. */
  async function insertSteps(tx: Tx, rows: readonly NewRow[]): Promise<Set<string>> {
    const loans = new Map<NewRow, Loan>()
    tx.afterRollback((known) => {
      for (const loan of loans.values()) {
        if (known) loan.back()
        else loan.lost()
      }
    })
    const made = await insertJobs(tx, lendFor(rows, loans))
    crashPoint('submit:before-commit')
    tx.afterCommit(() => {
      crashPoint('submit:after-commit')
      for (const row of rows) {
        const loan = loans.get(row)
        if (made.has(`${row.principal.tenantId} ${row.id}`)) announce(row, loan)
        else loan?.back()
      }
      core.events.wake()
    })
    return made
  }

  /** A step's job as it would be recorded. Verbs of workflows themselves go with the right to run one; others need their own right. */
  async function readyStep(tx: Tx, principal: Principal, job: StepJob): Promise<Prepared> {
    const { step, timeoutMs, request } = job
    const options: SubmitOptions = timeoutMs === undefined ? {} : { timeoutMs }
    if (!request.topic.startsWith('job.wh.')) return prepare(core, principal, job, null, { options, step })
    const verb = core.verbs.find(request.topic)
    if (!verb) throw new Fault('VAL_SCHEMA', { topic: request.topic }, { message: `there is no verb ${request.topic}` })
    const right = verb.name.startsWith('workflow:') ? 'workflow:execute' : verb.name
    if (!can(principal, right)) {
      const message = `${calledName(principal)} started this run and does not hold ${right}, which this step needs: give the right, or have somebody who holds it rerun from this step`
      throw new Fault('PERM_DENIED', { required: right, roles: principal.roles }, { message })
    }
    return (await prepareVerb(core, tx, principal, job, verb, givenIn(job), { options, step })).prepared
  }

  async function submitVerb(
    tx: Tx,
    principal: Principal,
    job: NewJob,
    verb: Verb,
    input: unknown,
    options: SubmitOptions = {},
  ): Promise<Submitted> {
    const asVerb = await prepareVerb(core, tx, principal, job, verb, input, { options })
    return submitIn(tx, principal, asVerb.job, asVerb.prepared)
  }
}

/** What a caller gave as the context of a job. */
const givenIn = ({ context }: NewJob): unknown => (context === null ? {} : JSON.parse(context))

/** The context document of a public submit wraps what the caller gave (jobs.md 5): for a verb that is its input. */
function inputOf(document: unknown): unknown {
  if (typeof document !== 'object' || document === null || !('prompt' in document)) return document
  return 'context' in document ? document.context : {}
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
