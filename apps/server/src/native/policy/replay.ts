import { setImmediate } from 'node:timers/promises'
import type { Db } from '../../kernel/db/index.ts'
import { policyRequest, type JobRequest } from '../../kernel/jobs/index.ts'
import { type Decision, evaluate, type Facts, type Snapshot } from '../../kernel/policy/index.ts'
import {
  batchEnd,
  countAfter,
  type Group,
  type Place,
  readBatch,
  readFacts,
  readTimes,
  type Window,
} from './decided.ts'
import { openTally } from './tally.ts'

export interface ReplayOptions {
  readonly db: Db
  readonly tenantId: string
  readonly draft: Snapshot
  /** What the draft is held against; undefined: what was decided then. */
  readonly current: Snapshot | undefined
  readonly window: Window
  readonly after: Place | null
  readonly examples: number
  readonly budgetMs: number
  readonly signal: AbortSignal
}

/** Between two turns of the event loop no more than this is decided. */
const SLICE_MS = 4
/** Questions of one look-up of facts. */
const CHUNK = 1000
/** Answers that are remembered for the next batches. */
const MAX_REMEMBERED = 20_000

interface Answers {
  readonly before: Decision | undefined
  readonly after: Decision
}

/**
 * Replays stored decisions under a draft, newest first, in batches: equal questions are asked once, the next batch is read
 * while one is decided, and the event loop gets its turn every few milliseconds. Ends when the window, the time or the caller's
 * patience does; `end` then says where to go on. At least one batch is replayed.
 */
export async function replay(options: ReplayOptions) {
  const { db, tenantId, draft, current, window, examples, budgetMs, signal } = options
  const started = performance.now()
  const tally = openTally(examples)
  const remembered = new Map<string, Answers>()
  let replayed = 0
  let skipped = 0
  let distinct = 0
  let turn = performance.now()

  function answer(group: Group, facts: Facts | undefined): Answers {
    const question = policyRequest('', requestOf(group), facts)
    return { before: current && evaluate(current, question), after: evaluate(draft, question) }
  }

  async function decideAll(groups: readonly Group[]): Promise<void> {
    for (let from = 0; from < groups.length; from += CHUNK) {
      const chunk = groups.slice(from, from + CHUNK).map((group) => ({ group, key: keyOf(group) }))
      const hashes = new Map<string, Buffer>()
      for (const { group, key } of chunk) {
        const hash = group.facts_hash
        if (hash && !remembered.has(key)) hashes.set(hash.toString('hex'), hash)
      }
      const facts = await readFacts(db, tenantId, [...hashes.values()])
      for (const { group, key } of chunk) {
        if (window.topic && !window.topic.test(group.topic)) continue
        let known = remembered.get(key)
        if (!known) {
          const seen = group.facts_hash ? facts.get(group.facts_hash.toString('hex')) : undefined
          if (group.facts_hash && !seen) {
            skipped += group.n
            continue
          }
          known = answer(group, seen)
          distinct += 1
          if (remembered.size >= MAX_REMEMBERED) remembered.clear()
          remembered.set(key, known)
        }
        const stored = { decision: group.decision, ruleId: group.rule_id, reason: group.reason }
        tally.add(group, known.before ?? stored, known.after)
        replayed += group.n
        if (performance.now() - turn > SLICE_MS) {
          await setImmediate()
          turn = performance.now()
        }
      }
    }
  }

  async function read(after: Place | null) {
    const end = await batchEnd(db, tenantId, window, after)
    // The one that ends this batch belongs to it, and the next begins after it.
    return { end, groups: await readBatch(db, tenantId, window, after, end) }
  }

  let reading = read(options.after)
  let end: Place | null = null
  for (;;) {
    const batch = await reading
    end = batch.end
    const next = end === null ? undefined : read(end)
    // It is awaited below, or given up with its error.
    next?.catch(() => undefined)
    await decideAll(batch.groups)
    if (!next) break
    if (signal.aborted || performance.now() - started >= budgetMs) {
      await next.catch(() => undefined)
      break
    }
    reading = next
  }

  const { transitions, ...counts } = tally.result()
  const jobIds = transitions.flatMap((each) => each.examples.map(({ jobId }) => jobId))
  const times = await readTimes(db, tenantId, [...new Set(jobIds)])
  const remaining = end === null ? 0 : await countAfter(db, tenantId, window, end)
  return {
    end: remaining === 0 ? null : end,
    remaining,
    replayed,
    skipped,
    distinct,
    ...counts,
    transitions: transitions.map(({ examples: shown, ...rest }) => ({
      ...rest,
      examples: shown.map(({ stored, ...each }) => ({ ...each, at: times.get(stored) ?? '' })),
    })),
  }
}

const keyOf = ({ topic, verb, tenant, principal, labels, meta, facts_hash: hash }: Group): string =>
  `${topic}\n${verb ?? ''}\n${tenant}\n${principal}\n${labels ?? ''}\n${meta ?? ''}\n${hash?.toString('hex') ?? ''}`

/** What policy saw of the request. */
function requestOf({ topic, verb, tenant, principal, labels, meta }: Group): JobRequest {
  return {
    topic,
    tenant,
    principalId: principal,
    ...(verb === null ? {} : { verb }),
    ...(labels === null ? {} : { labels: JSON.parse(labels) as NonNullable<JobRequest['labels']> }),
    ...(meta === null ? {} : { meta: JSON.parse(meta) as NonNullable<JobRequest['meta']> }),
  }
}
