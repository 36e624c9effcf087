import type { Instant } from '../clock/index.ts'
import { evaluate } from '../policy/index.ts'
import { type Active, keyOf } from './active.ts'
import type { Core } from './core.ts'
import { AGAIN_MS, THROTTLE_MS } from './delays.ts'
import { FROZEN_UNTIL } from './frozen.ts'
import { approvedHashes, type Claimed, decisionsOf } from './queue.ts'
import { policyRequest, requestHash } from './request.ts'
import { concurrencyOf, park } from './slots.ts'

/** Replicas load a changed policy within this time of each other. */
const POLICY_SLACK_MS = 3000

export interface CheckHooks {
  /** Ends a claimed job that must not run. */
  refuse(claimed: Claimed, end: { state: 'denied' | 'failed'; code: string; message: string }): Promise<void>
  /** Policy asks for approval although it did not before: the job goes back to the inbox. */
  holdAgain(claimed: Claimed): Promise<void>
  /** Takes a claim off this replica's list. */
  forget(tenantId: string, jobId: string): void
  /** Gives claims back to the queue until then. */
  giveBack(claims: readonly Claimed[], runAt: Instant): Promise<void>
}

/** The checks of dispatch: between a claim and its sending nothing may have changed that would keep the job from running. */
export function openDispatchChecks(
  core: Core,
  { refuse, holdAgain, forget, giveBack }: CheckHooks,
): (taken: readonly Active[]) => Promise<Set<Active>> {
  const { db, clock } = core

  /**
   * What is asked again at dispatch: the approval still binds exactly this request, and policy, where it changed since, still allows it.
   * Returns those that do not run now; they are taken care of.
   */
  async function check(taken: readonly Active[]): Promise<Set<Active>> {
    const refused = new Set<Active>()
    const drop = (entry: Active): void => {
      refused.add(entry)
      forget(entry.claimed.tenantId, entry.claimed.id)
    }
    const frozen = await core.frozen.among(taken)
    for (const entry of frozen) drop(entry)
    if (frozen.length > 0)
      await giveBack(
        frozen.map(({ claimed }) => claimed),
        FROZEN_UNTIL,
      )
    const approved = taken.filter((entry) => entry.claimed.approvalId !== null && !refused.has(entry))
    if (approved.length > 0) {
      const hashes = await db.engine((tx) =>
        approvedHashes(
          tx,
          approved.map(({ claimed }) => claimed),
        ),
      )
      for (const entry of approved) {
        const { claimed } = entry
        if (hashes.get(claimed.approvalId ?? '') === requestHash(claimed.request, claimed.context)) continue
        drop(entry)
        await refuse(claimed, {
          state: 'denied',
          code: 'approval_stale_request',
          message: 'the approval is for another request',
        })
      }
    }
    const older = taken.filter((entry) => {
      const loaded = core.policy.peek(entry.claimed.tenantId)
      const since = loaded ? loaded.loadedAt + POLICY_SLACK_MS : Infinity
      return !refused.has(entry) && entry.claimed.createdAt < since
    })
    if (older.length > 0) await recheck(older, drop)
    await parkBraked(
      taken.filter((entry) => !refused.has(entry)),
      drop,
    )
    return refused
  }

  /** Jobs of paused topics, and those of which enough with the same concurrency key run, wait elsewhere in the queue. */
  async function parkBraked(entries: readonly Active[], drop: (entry: Active) => void): Promise<void> {
    const paused = entries.filter(({ claimed }) => core.brakes.of(claimed.tenantId).topics.has(claimed.request.topic))
    for (const entry of paused) drop(entry)
    if (paused.length > 0)
      await db.engine((tx) =>
        park(
          tx,
          paused.map(({ claimed: { tenantId, id, fence } }) => ({ tenantId, id, fence })),
        ),
      )
    const bids = entries.flatMap((entry) => {
      const concurrency = paused.includes(entry) ? undefined : concurrencyOf(entry.claimed.request.labels)
      const { tenantId, id, fence } = entry.claimed
      return concurrency ? [{ entry, tenantId, id, fence, ...concurrency }] : []
    })
    if (bids.length === 0) return
    const parked = await core.slots.take(bids)
    for (const { entry, tenantId, id } of bids) if (parked.has(keyOf(tenantId, id))) drop(entry)
  }

  async function recheck(older: readonly Active[], drop: (entry: Active) => void): Promise<void> {
    const decisions = await db.engine((tx) =>
      decisionsOf(
        tx,
        older.map(({ claimed }) => claimed),
      ),
    )
    const unread: Claimed[] = []
    const throttled: Claimed[] = []
    for (const entry of older) {
      const { claimed } = entry
      const made = decisions.get(keyOf(claimed.tenantId, claimed.id))
      // A policy that cannot be read is as one that is not there: the job waits (decisions D5).
      const snapshot = await core.policy.current(claimed.tenantId).then(
        (loaded) => loaded.snapshot,
        () => undefined,
      )
      if (!snapshot) {
        drop(entry)
        unread.push(claimed)
        continue
      }
      if (made?.snapshot === snapshot.id) continue
      const now = evaluate(snapshot, policyRequest(claimed.id, claimed.request, made?.facts ?? undefined))
      if (now.decision === 'DENY') {
        drop(entry)
        await refuse(claimed, { state: 'denied', code: 'safety_denied', message: now.reason })
      } else if (now.decision === 'THROTTLE') {
        drop(entry)
        throttled.push(claimed)
      } else if (
        now.decision === 'REQUIRE_APPROVAL' &&
        (claimed.approvalId === null || made?.ruleDigest !== now.ruleDigest)
      ) {
        drop(entry)
        await holdAgain(claimed)
      }
    }
    if (unread.length > 0) await giveBack(unread, clock.now() + AGAIN_MS)
    if (throttled.length > 0) await giveBack(throttled, clock.now() + THROTTLE_MS)
  }

  return check
}
