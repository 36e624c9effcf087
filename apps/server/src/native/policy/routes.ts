import { Fault } from '@wheelhouse/contract'
import { native } from '@wheelhouse/contract/native/index'
import type { WhatIfBody, WhatIfReply } from '@wheelhouse/contract/native/policy'
import { iso, type Instant } from '../../kernel/clock/index.ts'
import type { Db } from '../../kernel/db/index.ts'
import { serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import {
  expectedRevision,
  putDefaultDecision,
  recordPolicyChange,
  revisionTag,
  SETTINGS_ID,
  topicGlob,
} from '../../kernel/policy/index.ts'
import { instantOf, readCursor, type Window, writeCursor } from './decided.ts'
import { compileDraftSet } from './draft.ts'
import { replay } from './replay.ts'
import { settingsOf } from './settings.ts'

const BUDGET_MS = 20_000
const EXAMPLES = 20
/** Replays of one server at the same time, over all tenants: each keeps one core and one connection busy. */
const MAX_REPLAYS = 2
/** First of the two numbers of the advisory lock; the second is made of the tenant. */
const LOCK_SPACE = 0x77_68_69_66

/** Policy beyond the jobs document. */
export const routes = ({ db, policy }: Kernel) => {
  let replays = 0

  return serve('native', native.policy, {
    async getPolicySettings({ principal, reply }) {
      const loaded = await policy.fresh(principal.tenantId)
      reply.header('ETag', revisionTag(loaded.revision))
      return settingsOf(loaded)
    },

    async putPolicySettings({ principal, body, request, reply, now }) {
      const { tenantId } = principal
      const revision = expectedRevision(request.header('if-match'))
      await db.tenant(tenantId, async (tx) => {
        await putDefaultDecision(tx, now, body.defaultDecision, principal.subject, revision)
        await recordPolicyChange(
          tx,
          { principal, now, request },
          {
            action: 'settings',
            resourceId: SETTINGS_ID,
            message: `default decision: ${body.defaultDecision ?? 'as the bundles say'}`,
          },
        )
      })
      await policy.changed(tenantId)
      const loaded = await policy.fresh(tenantId)
      reply.header('ETag', revisionTag(loaded.revision))
      return settingsOf(loaded)
    },

    async policyWhatIf({ principal, body, request }) {
      const { tenantId } = principal
      const after = body.cursor === undefined ? null : readCursor(body.cursor)
      const window = windowOf(body)
      if (after && window.until !== null && instantOf(after) >= window.until)
        throw new Fault('VAL_SCHEMA', {}, { message: 'cursor must be that of an earlier answer about the same window' })
      const draft = await db.tenant(tenantId, (tx) => compileDraftSet(tx, body.draft ?? {}))
      const { snapshot: current } = await policy.fresh(tenantId)
      if (body.against === 'current' && !current) {
        const message = 'No policy is loaded that the draft could be held against'
        throw new Fault('SYS_UNAVAILABLE', { part: 'policy' }, { message, retryAfterMs: 1000 })
      }
      if (replays >= MAX_REPLAYS) {
        const message = 'This server replays for others already; try again in a few seconds'
        throw new Fault('SYS_UNAVAILABLE', { part: 'what-if' }, { message, retryAfterMs: 5000 })
      }
      replays += 1
      try {
        const started = performance.now()
        const { end, ...found } = await alone(db, tenantId, () =>
          replay({
            db,
            tenantId,
            draft,
            current: body.against === 'current' ? current : undefined,
            window,
            after,
            examples: body.examples ?? EXAMPLES,
            budgetMs: body.budgetMs ?? BUDGET_MS,
            signal: request.signal,
          }),
        )
        return {
          complete: end === null,
          cursor: end && writeCursor(end),
          window: { from: isoOf(window.from), until: isoOf(window.until) },
          tookMs: Math.round(performance.now() - started),
          snapshot: { draft: draft.id, current: current?.id ?? '' },
          warnings: [...draft.warnings].slice(0, 100),
          ...found,
        } satisfies WhatIfReply
      } finally {
        replays -= 1
      }
    },
  })
}

const isoOf = (instant: Instant | null): string | null => (instant === null ? null : iso(instant))

function windowOf({ from, until, topic, decision, rule }: WhatIfBody): Window {
  const glob = topic === undefined ? null : topicGlob(topic)
  if (glob === undefined) {
    const message = 'topic must be a glob such as job.deploy.*'
    throw new Fault('VAL_SCHEMA', {}, { message, violations: [{ field: 'topic', message, code: 'pattern' }] })
  }
  const window: Window = {
    from: from === undefined ? null : Date.parse(from),
    until: until === undefined ? null : Date.parse(until),
    topic: glob,
    decisions: decision ?? null,
    rule: rule ?? null,
  }
  if (window.from !== null && window.until !== null && window.from >= window.until)
    throw new Fault('VAL_INVALID_RANGE', {}, { message: 'from must be before until' })
  return window
}

/** Runs what a tenant may run but once at a time, over all replicas. Throws RES_CONFLICT while it does elsewhere. */
async function alone<T>(db: Db, tenantId: string, run: () => Promise<T>): Promise<T> {
  const { client, release } = await db.dedicated()
  try {
    const { rows } = await client.query<{ held: boolean }>('select pg_try_advisory_lock($1, hashtext($2)) as held', [
      LOCK_SPACE,
      tenantId,
    ])
    if (rows[0]?.held !== true)
      throw new Fault('RES_CONFLICT', {}, { message: 'Another what-if of this tenant is running; wait until it ends' })
    try {
      return await run()
    } finally {
      // With its connection the lock would go too, but a moment later, when the caller may be back already.
      await client.query('select pg_advisory_unlock($1, hashtext($2))', [LOCK_SPACE, tenantId]).catch(() => undefined)
    }
  } finally {
    await release()
  }
}
