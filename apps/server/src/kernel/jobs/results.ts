import { Fault } from '@wheelhouse/contract'
import { JobStatus, type JobProgress, type JobResult } from '@wheelhouse/contract/proto/cap_pb'
import { LRUCache } from 'lru-cache'
import { type AccountMessage, type CapturedResult, decodePacket, jetStreamAck, type Listening } from '../bus/index.ts'
import { jsonb, openBatch, storable } from '../db/index.ts'
import { can } from '../identity/index.ts'
import type { Core } from './core.ts'
import { crashPoint } from '../crash/index.ts'
import type { Active } from './active.ts'
import type { Dispatcher } from './dispatcher.ts'
import { type EndedRow, type EndItem, endJobs } from './ends.ts'
import type { TerminalState } from './jobs.ts'
import { noteAttempt, release } from './queue.ts'
import type { Gone } from './replicas.ts'
import { type JobRequest, readPacket } from './request.ts'
import { attemptOf } from './spans.ts'
import { backoffMs } from './runner.ts'
import type { Submission } from './submission.ts'
import type { Ended } from './verb.ts'
import { openPacketCheck } from './worker-keys.ts'

/** jobs.md 17.1: what a worker's word means; any other status is a failure. */
const OUTCOME: Readonly<Partial<Record<number, TerminalState>>> = {
  [JobStatus.SUCCEEDED]: 'succeeded',
  [JobStatus.FAILED]: 'failed',
  [JobStatus.CANCELLED]: 'cancelled',
  [JobStatus.TIMEOUT]: 'timed_out',
  [JobStatus.DENIED]: 'denied',
}

/** A worker may tell of its progress many times a second. */
const HEARD_MS = 10_000
const HEARD = `
update job_queue set heard_fence = fence
 where tenant_id = $1 and id = $2 and state = 'leased' and worker_id is null and $3::bigint in (0, fence) and heard_fence is distinct from fence`

export interface BusDoors {
  /** Results that came while nobody listened. */
  drain(): Promise<void>
  idle(): Promise<void>
  close(): void
}

interface BusDoorHooks {
  submission: Submission
  dispatcher: Dispatcher
  cancel(tenantId: string, jobId: string, reason: string, by: Parameters<Submission['submitBatched']>[0]): Promise<void>
}

/** What comes from tenants' workers and services over the bus: submits, results, progress, heartbeats, cancels (jobs.md 29.3). */
export function openBusDoors(core: Core, { submission, dispatcher, cancel }: BusDoorHooks): BusDoors {
  const { bus, accounts, identity, clock, db, log, signals, workers } = core
  let acknowledged = 0
  const heard = new LRUCache<string, true>({ max: 20_000, ttl: HEARD_MS })
  const check = openPacketCheck(core)

  const ends = openBatch<EndItem, true>({ name: 'results', log }, async (items) => {
    crashPoint('end:before-commit')
    const rows = await endJobs({ query: db.engineQuery }, items)
    crashPoint('end:after-commit')
    if (rows.length > 0) core.events.wake()
    const byJob = new Map(items.map((item) => [`${item.tenantId} ${item.id}`, item]))
    const elsewhere: Gone[] = []
    for (const row of rows) {
      const item = byJob.get(`${row.tenantId} ${row.id}`)
      if (!item) continue
      if (row.retry) await again(row, item)
      else settled(row, item)
      const gone: Gone = { tenantId: row.tenantId, id: row.id, state: item.state, at: item.at, retry: row.retry }
      const active = dispatcher.forget(row.tenantId, row.id)
      if (active) trace(active, gone)
      else elsewhere.push(gone)
    }
    // The replica that sent it out must not count it as under way any longer.
    if (elsewhere.length > 0) core.replicas.tell('wh.ended', elsewhere)
    dispatcher.kick()
    return items.map((): true => true)
  })

  /** Spans of an attempt, made where it was sent out; the result's own ends with its commit. */
  function trace({ claimed }: Active, { state, at, retry }: Gone): void {
    if (!core.tracer.on) return
    const attempt = attemptOf(claimed)
    core.tracer.ran(attempt, claimed.startedAt, at, state)
    core.tracer.recorded(attempt, at, clock.now())
    if (!retry) core.tracer.ended(attempt, claimed.createdAt, at, state)
  }

  function settled(row: EndedRow, item: EndItem): void {
    core.told(row.tenantId, row.runId)
    const end: Ended<unknown> =
      item.state === 'succeeded'
        ? { kind: 'succeeded', output: item.resultPtr === '' ? null : { resultPtr: item.resultPtr } }
        : { kind: item.state, code: item.code, message: item.message }
    signals.emit(row.tenantId, row.id, { kind: 'ended', end, at: item.at })
  }

  async function again(row: EndedRow, item: EndItem): Promise<void> {
    const now = clock.now()
    await db.engine(async (tx) => {
      const claimed = { ...row, startedAt: now }
      await noteAttempt(tx, claimed, now, {
        outcome: item.state === 'timed_out' ? 'timed_out' : 'failed',
        code: item.code,
        message: item.message,
      })
      const runAt = now + backoffMs(row.attempt)
      await release(tx, [{ tenantId: row.tenantId, id: row.id, fence: row.fence, runAt, nextAttempt: true }])
    })
    signals.emit(row.tenantId, row.id, { kind: 'state', state: 'pending', at: now })
  }

  async function tenantOf(account: string): Promise<string | undefined> {
    const owner = await accounts.findAccount(account)
    return owner && owner.ownerId === undefined ? owner.tenantId : undefined
  }

  function itemOf(tenantId: string, account: string, result: JobResult, at: number): EndItem | undefined {
    if (result.jobId === '') return undefined
    return {
      tenantId,
      id: storable(result.jobId, 128),
      fence: Math.max(0, result.attempt),
      account,
      workerId: storable(result.workerId, 128),
      state: OUTCOME[result.status] ?? 'failed',
      resultPtr: storable(result.resultPtr, 2048),
      code: storable(result.errorCode, 200),
      message: storable(result.errorMessage, 8000),
      at,
    }
  }

  async function onResult(message: AccountMessage): Promise<void> {
    const decoded = decodePacket(message.data)
    if (!decoded.ok || decoded.packet.payload.case !== 'jobResult') return
    const tenantId = await tenantOf(message.account)
    if (tenantId === undefined) return
    if (!(await check.admits(tenantId, decoded.packet, message.data))) return
    const item = itemOf(tenantId, message.account, decoded.packet.payload.value, clock.now())
    if (!item) return
    await core.redisPointers?.collect(tenantId, item.id)
    await ends.add(item)
    signals.showPacket(tenantId, decoded.packet, message.data)
    acknowledge(message)
  }

  /** A client that publishes through JetStream waits for an acknowledgement; it gets one after the commit (decisions D2). */
  function acknowledge(message: AccountMessage): void {
    if (message.expectsReply) message.respond(jetStreamAck(++acknowledged))
  }

  async function onProgress(message: AccountMessage): Promise<void> {
    const decoded = decodePacket(message.data)
    if (!decoded.ok || decoded.packet.payload.case !== 'jobProgress') return
    const tenantId = await tenantOf(message.account)
    if (tenantId === undefined) return
    if (!(await check.admits(tenantId, decoded.packet, message.data))) return
    const progress: JobProgress = decoded.packet.payload.value
    const active = dispatcher.find(tenantId, progress.jobId)
    if (active && progress.attempt > 0 && progress.attempt !== active.claimed.fence) return
    crashPoint('progress:after-receive')
    if (!active?.worker) await noteHeard(tenantId, progress.jobId, progress.attempt)
    signals.emit(tenantId, progress.jobId, {
      kind: 'progress',
      percent: progress.percent,
      message: progress.message.slice(0, 2000),
      at: clock.now(),
    })
    signals.showPacket(tenantId, decoded.packet, message.data)
    acknowledge(message)
  }

  /** Of a job that was offered on its topic it is known from now on that somebody has it. */
  async function noteHeard(tenantId: string, jobId: string, fence: number): Promise<void> {
    const key = `${tenantId} ${jobId} ${fence}`
    if (heard.has(key)) return
    heard.set(key, true)
    await db.engineQuery(HEARD, [tenantId, jobId, fence])
  }

  async function onHeartbeat(message: AccountMessage): Promise<void> {
    const decoded = decodePacket(message.data)
    if (!decoded.ok || decoded.packet.payload.case !== 'heartbeat') return
    const tenantId = await tenantOf(message.account)
    if (tenantId === undefined) return
    if (!(await check.admits(tenantId, decoded.packet, message.data))) return
    workers.heard(tenantId, message.account, decoded.packet.payload.value)
    signals.showPacket(tenantId, decoded.packet, message.data)
  }

  async function onSubmit(message: AccountMessage): Promise<void> {
    const decoded = decodePacket(message.data)
    if (!decoded.ok || decoded.packet.payload.case !== 'jobRequest' || message.user === undefined) return
    const { traceId, payload } = decoded.packet
    const principal = await identity.principalOfNkey(message.user)
    if (!principal) return
    if (!(await check.admits(principal.tenantId, decoded.packet, message.data))) return
    if (!can(principal, 'job:submit')) {
      log.warn(
        { tenantId: principal.tenantId, key: principal.keyId },
        'A submit over the bus lacks the permission job:submit',
      )
      return
    }
    const request = readPacket(payload.value, principal.tenantSlug)
    if (!request.topic.startsWith('job.') || Object.keys(request.labels ?? {}).length > 50) return
    const { jobId } = payload.value
    const problem = refusedPacket(request, jobId)
    if (problem !== undefined) {
      log.warn({ tenantId: principal.tenantId, key: principal.keyId }, `A submit over the bus was refused: ${problem}`)
      return
    }
    const key = request.meta?.idempotencyKey
    try {
      await submission.submitBatched(principal, {
        request: { ...request, principalId: principal.subject },
        context: null,
        ...(jobId === '' ? {} : { jobId: jobId.slice(0, 128) }),
        ...(traceId === '' ? {} : { traceId: traceId.slice(0, 128) }),
        ...(key === undefined ? {} : { key: key.slice(0, 200) }),
      })
    } catch (error) {
      // There is nobody to answer to; what the database refuses for a moment is sent again by whoever waits for the acknowledgement.
      if (error instanceof Fault) log.warn({ err: error, jobId }, 'A submit over the bus was refused')
      else throw error
      return
    }
    acknowledge(message)
  }

  async function onCancel(message: AccountMessage): Promise<void> {
    const decoded = decodePacket(message.data)
    if (!decoded.ok || decoded.packet.payload.case !== 'jobCancel' || message.user === undefined) return
    const principal = await identity.principalOfNkey(message.user)
    if (!principal || !can(principal, 'job:cancel')) return
    if (!(await check.admits(principal.tenantId, decoded.packet, message.data))) return
    const { jobId, reason } = decoded.packet.payload.value
    await cancel(principal.tenantId, jobId, reason === '' ? 'cancelled over the bus' : reason.slice(0, 2000), principal)
    acknowledge(message)
  }

  const open: Listening[] = [
    bus.fromAccounts('sys.job.submit', onSubmit),
    bus.fromAccounts('sys.job.cancel', onCancel),
    bus.fromAccounts('sys.job.result', onResult),
    bus.fromAccounts('sys.job.progress', onProgress),
    bus.fromAccounts('sys.heartbeat', onHeartbeat),
    core.replicas.hear('wh.ended', (gone) => {
      for (const each of gone) {
        const active = dispatcher.forget(each.tenantId, each.id)
        if (active) trace(active, each)
      }
      dispatcher.kick()
    }),
  ]

  async function take(captured: readonly CapturedResult[]): Promise<void> {
    const items: EndItem[] = []
    for (const { account, data, at } of captured) {
      const decoded = decodePacket(data)
      if (!decoded.ok || decoded.packet.payload.case !== 'jobResult') continue
      const tenantId = await tenantOf(account)
      if (tenantId === undefined || !(await check.admits(tenantId, decoded.packet, data))) continue
      const item = itemOf(tenantId, account, decoded.packet.payload.value, at)
      if (item) items.push(item)
    }
    for (const { tenantId, id } of items) await core.redisPointers?.collect(tenantId, id)
    await Promise.all(items.map((item) => ends.add(item)))
  }

  return {
    async drain() {
      await bus.drainResults(take)
    },
    idle: () => ends.idle(),
    close() {
      for (const each of open) each.close()
    },
  }
}

/** The ids of steps' jobs (`<run>:<step>@<attempt>`) are the engine's to give. */
const OF_A_STEP = /^[^:]+:.+@\d+$/s
const MOST = { topic: 256, text: 2048 }

/** What no row, index or hash would take; the public endpoint's schema keeps it out there. */
function refusedPacket(request: JobRequest, jobId: string): string | undefined {
  const { topic, adapterId = '', parentJobId = '', memoryId = '', workflowId = '', contextPtr = '' } = request
  if (topic.length > MOST.topic) return `a topic has at most ${MOST.topic} characters`
  if ([adapterId, parentJobId, memoryId, workflowId, contextPtr].some((text) => text.length > MOST.text))
    return `ids and pointers have at most ${MOST.text} characters`
  if (JSON.stringify([request, jobId]) !== jsonb([request, jobId])) return 'text must not hold NUL'
  if (OF_A_STEP.test(jobId)) return "an id of the form run:step@attempt is a step's"
  return undefined
}
