import { setImmediate } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
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
/** Decisions of one read: where all differ they fit into the memory that PostgreSQL groups in, and take us milliseconds to read. */
const SMALLEST = 5_000
/** Where they come down to few questions, more are read at once. */
const LARGEST = 40_000
const FEW = 1_000
/** Questions of one look-up of facts. */
const CHUNK = 1000
/** Answers that are remembered for the next batches. */
const MAX_REMEMBERED = 20_000
/** After so many questions of which less than a tenth were asked before, remembering costs more than it saves. */
const PROBATION = 20_000
/** Characters of facts that are kept at hand. */
const MAX_FACTS = 16_000_000

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
  const remembered = openMemory()
  const facts = new LRUCache<string, { body: Facts; length: number }>({
    maxSize: MAX_FACTS,
    sizeCalculation: ({ length }) => length + 100,
  })
  let replayed = 0
  let skipped = 0
  let distinct = 0
  let turn = performance.now()

  function answer(group: Group, seen: Facts | undefined): Answers {
    const question = policyRequest('', requestOf(group), seen)
    return { before: current && evaluate(current, question), after: evaluate(draft, question) }
  }

  /** What policy saw of the world at these decisions, those that are not at hand read at once. */
  async function factsOf(groups: readonly Group[]): Promise<Map<string, Facts>> {
    const found = new Map<string, Facts>()
    const missing = new Set<string>()
    for (const { facts_hash: hash } of groups) {
      if (hash === null) continue
      const known = facts.get(hash)
      if (known) found.set(hash, known.body)
      else missing.add(hash)
    }
    for (const { hash, body } of await readFacts(db, tenantId, [...missing])) {
      const parsed = JSON.parse(body) as Facts
      found.set(hash, parsed)
      facts.set(hash, { body: parsed, length: body.length })
    }
    return found
  }

  async function decideAll(groups: readonly Group[]): Promise<void> {
    for (let from = 0; from < groups.length; from += CHUNK) {
      const chunk = groups.slice(from, from + CHUNK)
      const saw = await factsOf(chunk)
      for (const group of chunk) {
        if (performance.now() - turn > SLICE_MS) {
          await setImmediate()
          turn = performance.now()
        }
        if (window.topic && !window.topic.test(group.topic)) continue
        const seen = group.facts_hash === null ? undefined : saw.get(group.facts_hash)
        if (group.facts_hash !== null && !seen) {
          skipped += group.n
          continue
        }
        const { before, after } = remembered(group, () => {
          distinct += 1
          return answer(group, seen)
        })
        const stored = { decision: group.decision, ruleId: group.rule_id, reason: group.reason }
        tally.add(group, before ?? stored, after)
        replayed += group.n
      }
    }
  }

  let size = SMALLEST
  async function read(after: Place | null) {
    const end = await batchEnd(db, tenantId, window, after, size)
    // The one that ends this batch belongs to it, and the next begins after it.
    const groups = await readBatch(db, tenantId, window, after, end)
    size = groups.length < FEW ? Math.min(size * 2, LARGEST) : SMALLEST
    return { end, groups }
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

/** Answers by question, so that what comes again in later batches is not asked again; given up where nothing does. */
function openMemory(): (group: Group, ask: () => Answers) => Answers {
  const known = new Map<string, Answers>()
  let asked = 0
  let hits = 0
  return (group, ask) => {
    asked += 1
    if (asked > PROBATION && hits < asked / 10) {
      known.clear()
      return ask()
    }
    const key = keyOf(group)
    const found = known.get(key)
    if (found) {
      hits += 1
      return found
    }
    const made = ask()
    if (known.size >= MAX_REMEMBERED) known.clear()
    known.set(key, made)
    return made
  }
}

const keyOf = ({ topic, verb, tenant, principal, labels, meta, facts_hash: hash }: Group): string =>
  `${topic}\n${verb ?? ''}\n${tenant}\n${principal}\n${labels ?? ''}\n${meta ?? ''}\n${hash ?? ''}`

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
