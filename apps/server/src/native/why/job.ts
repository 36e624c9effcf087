import type { Why } from '@wheelhouse/contract/native/why'
import { covers } from '../../kernel/bus/index.ts'
import { iso, type Instant, pause } from '../../kernel/clock/index.ts'
import type { Tx } from '../../kernel/db/index.ts'
import { FROZEN_UNTIL, jobState, obstacles, stateWord } from '../../kernel/jobs/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import {
  ahead,
  findWhy,
  frozenBehind,
  holdersOf,
  lastAttempt,
  runningNow,
  takenByTopic,
  votesFor,
  type WhyRow,
} from './tables.ts'
import { sentences } from './text.ts'

/** The answer does not wait longer for the bus. */
const LISTENERS_MS = 1000

type Wait = Why['waitsFor'][number]

const timed = (at: Instant | null | undefined): string | undefined =>
  at === null || at === undefined ? undefined : iso(at)
const since = (at: Instant | null | undefined): { since?: string } => {
  const text = timed(at)
  return text === undefined ? {} : { since: text }
}
const until = (at: Instant | null | undefined): { until?: string } => {
  const text = timed(at)
  return text === undefined ? {} : { until: text }
}

/** Why a job is where it is; undefined when there is no such job. */
export async function whyJob(kernel: Kernel, tx: Tx, id: string): Promise<Why | undefined> {
  const row = await findWhy(tx, id)
  if (!row) return undefined
  const state = isOffered(row) ? 'dispatched' : jobState(row.recorded, row.queueState)
  const ended = row.recorded !== 'open'
  const waitsFor = ended ? [] : await waits(kernel, tx, row)
  const common = {
    id,
    state: stateWord('jobs', state),
    since: iso(row.endedAt ?? row.startedAt ?? Math.floor(row.us / 1000)),
    ended,
    waitsFor,
  }
  const summary = ended ? ending(row) : (waitsFor[0]?.text ?? 'It is being handed out.')
  return { ...common, summary, text: sentences({ ...common, summary }) }
}

/** What a living job waits for, the nearest first. */
async function waits(kernel: Kernel, tx: Tx, row: WhyRow): Promise<Wait[]> {
  switch (row.queueState) {
    case 'held':
      return [await approvalWait(kernel, tx, row)]
    case 'undecided':
      return isFrozen(row) ? frozenWait(tx, row) : [policyWait(row)]
    case 'leased':
      return [isOffered(row) ? await offeredWait(kernel, row) : runningWait(row)]
    case 'blocked':
      return [await keyWait(tx, row)]
    case 'waiting':
      return waitingWait(kernel, tx, row)
    default:
      return readyWait(kernel, tx, row)
  }
}

async function approvalWait({ approvals }: Kernel, tx: Tx, row: WhyRow): Promise<Wait> {
  const approval = await approvals.latest(tx, 'job', row.id)
  if (!approval || approval.state !== 'open')
    return { kind: 'approval', text: 'It waits for approval.', clears: 'Somebody approves it in the inbox.' }
  const left = approval.required - (await votesFor(tx, approval.id, approval.stage))
  const who = approval.roles.length > 0 ? `role ${approval.roles.join(' or ')}` : 'the right to decide approvals'
  const self = approval.allowSelf ? '' : ` ${approval.requestedName}, who asked, may not.`
  const rule = approval.ruleId === '' ? '' : ` by rule “${approval.ruleId}”`
  return {
    kind: 'approval',
    text: `Held for approval${rule}${approval.reason === '' ? '' : `: ${approval.reason}`}.`,
    since: iso(approval.createdAt),
    ...until(approval.expiresAt),
    clears: `${left === 1 ? 'One person' : `${left} people`} with ${who} approve${left === 1 ? 's' : ''} it.${self}`,
    ref: { kind: 'approval', id: approval.id, href: '/inbox' },
  }
}

function policyWait(row: WhyRow): Wait {
  if (row.snapshot === '' || row.snapshot === null)
    return {
      kind: 'policy',
      text: `Policy has not decided: ${row.reason ?? 'no policy loaded'}.`,
      since: iso(row.createdAt),
      ...until(row.runAt),
      clears: 'A policy is published, or the policy store is back; then it is asked again by itself.',
      ref: { kind: 'policy', id: 'default', href: '/policy' },
    }
  return {
    kind: 'throttle',
    text: `Throttled${row.ruleId ? ` by rule “${row.ruleId}”` : ''}${row.reason ? `: ${row.reason}` : ''}.`,
    since: iso(row.createdAt),
    ...until(row.runAt),
    clears: 'Policy is asked again every 5 seconds and lets it go when the rule no longer matches.',
    ...(row.ruleId ? { ref: { kind: 'rule', id: row.ruleId, href: '/policy' } } : {}),
  }
}

/** Sent out on its topic, to somebody who sends no heartbeats and has not spoken: it may lie with nobody. */
const isOffered = ({ recorded, queueState, workerId, request, isHeard }: WhyRow): boolean =>
  recorded === 'open' && queueState === 'leased' && workerId === null && request.verb === undefined && !isHeard

async function offeredWait(kernel: Kernel, row: WhyRow): Promise<Wait> {
  const { topic } = row.request
  const listeners = await listenersOf(kernel, row)
  const whom =
    listeners === undefined
      ? `whoever subscribes to topic “${topic}”`
      : `${listeners} subscriber${listeners === 1 ? '' : 's'} of topic “${topic}”`
  return {
    kind: 'offered',
    text:
      listeners === 0
        ? `It was offered on topic “${topic}”; nobody has said that they took it, and nobody listens there now.`
        : `It was offered to ${whom}, and nobody has said yet that they took it.`,
    ...since(row.startedAt),
    ...until(row.expiresAt),
    clears: `Whoever took it sends progress or its result, or its time is over. If nobody works on it, start a worker for “${topic}” that sends heartbeats, and cancel or retry it.`,
  }
}

/** How many connections of the tenant's account listen on the topic; undefined when the bus does not say at once. */
async function listenersOf({ bus }: Kernel, { account, request: { topic } }: WhyRow): Promise<number | undefined> {
  if (account === null) return undefined
  const asked = bus.resolver.connections(account).then(
    (connections) => connections.filter(({ subjects }) => subjects.some((subject) => covers(subject, topic))).length,
    () => undefined,
  )
  return Promise.race([asked, pause(LISTENERS_MS).then(() => undefined)])
}

function runningWait(row: WhyRow): Wait {
  const attempt = (row.maxAttempts ?? 1) > 1 ? `, attempt ${row.attempt} of ${row.maxAttempts}` : ''
  const where =
    row.workerId === null
      ? row.request.verb
        ? 'in the server'
        : 'with a worker of its topic'
      : `on worker “${row.workerId}”`
  return {
    kind: 'running',
    text: `It runs ${where}${attempt}.`,
    ...since(row.startedAt),
    ...until(row.expiresAt),
    clears: 'It ends, or its time is over.',
    ...(row.workerId === null ? {} : { ref: { kind: 'worker', id: row.workerId } }),
  }
}

async function keyWait(tx: Tx, row: WhyRow): Promise<Wait> {
  const key = row.parkKey ?? ''
  const holders = await holdersOf(tx, key)
  const [first] = holders
  return {
    kind: 'limit',
    text: `As many jobs of the concurrency key “${key}” run as may: ${holders.map(({ id }) => id).join(', ')}.`,
    since: iso(row.createdAt),
    clears: 'One of them ends.',
    ...(first ? { ref: { kind: 'job', id: first.id, href: `/jobs/${first.id}` } } : {}),
  }
}

const isFrozen = ({ runAt }: WhyRow): boolean => runAt !== null && runAt >= FROZEN_UNTIL

async function frozenWait(tx: Tx, row: WhyRow): Promise<Wait[]> {
  const frozen = await frozenBehind(tx, row.id)
  const [first] = frozen
  const names = frozen.map(({ name }) => `“${name}”`).join(', ')
  return [
    {
      kind: 'principal',
      text: `Who submitted it, or whom it is done for, is frozen${names === '' ? '' : `: ${names}`}.`,
      clears: 'The principal is thawed.',
      ...(first ? { ref: { kind: 'principal', id: first.id } } : {}),
    },
  ]
}

async function waitingWait(kernel: Kernel, tx: Tx, row: WhyRow): Promise<Wait[]> {
  if (isFrozen(row)) return frozenWait(tx, row)
  if ((row.attempt ?? 1) > 1) {
    const last = await lastAttempt(tx, row.id)
    return [
      {
        kind: 'retry',
        text: `Attempt ${(row.attempt ?? 2) - 1} of ${row.maxAttempts} ${last?.outcome === 'timed_out' ? 'took too long' : 'failed'}${last?.message ? `: ${last.message}` : ''}.`,
        ...since(last?.endedAt),
        ...until(row.runAt),
        clears: 'The time between two attempts is over.',
      },
    ]
  }
  return readyWait(kernel, tx, row)
}

async function readyWait({ jobs }: Kernel, tx: Tx, row: WhyRow): Promise<Wait[]> {
  const brakes = await jobs.brakes.fresh(tx.tenantId)
  const taken = await takenByTopic(tx, row)
  const found = obstacles(row.pool ?? '', row.request, jobs.workers.live(tx.tenantId), brakes, taken)
  const list = found.map((each): Wait => ({ ...each, since: iso(each.since ?? row.createdAt) }))
  const most = row.constraints?.budgets?.maxConcurrentJobs ?? 0
  if (most > 0 && (await runningNow(tx)) >= most)
    list.push({
      kind: 'limit',
      text: `Policy lets ${most} jobs of the tenant run at the same time, and as many do.`,
      since: iso(row.createdAt),
      clears: 'One of them ends.',
      ...(row.ruleId ? { ref: { kind: 'rule', id: row.ruleId, href: '/policy' } } : {}),
    })
  if (list.length > 0) return list
  const before = row.n === null || row.queueState !== 'ready' ? 0 : await ahead(tx, row)
  return [
    {
      kind: 'turn',
      text:
        before === 0
          ? 'It is next.'
          : `${before >= 1000 ? 'A thousand or more' : before} stand before it in its queue.`,
      since: iso(row.createdAt),
      ...until(row.deadline),
      clears: 'Its turn comes.',
    },
  ]
}

/** The end in one sentence. */
function ending(row: WhyRow): string {
  const rule = row.ruleId ? ` by rule “${row.ruleId}”` : ''
  const code = row.errorCode ? ` (${row.errorCode})` : ''
  const message = row.errorMessage ? `: ${row.errorMessage}` : ''
  switch (row.recorded) {
    case 'succeeded':
      return 'It succeeded.'
    case 'cancelled':
      return `It was cancelled${message}.`
    case 'denied':
      return row.errorCode === 'safety_denied'
        ? `Policy denied it${rule}${message}.`
        : `It was denied${code}${message}.`
    case 'timed_out':
      return `Its time was over${code}${message}.`
    default:
      return `It failed${code}${message}.`
  }
}
