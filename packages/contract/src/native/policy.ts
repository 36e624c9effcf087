import { type Static, Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Decision } from '../jobs/shapes.ts'
import { Nullable, OneOf, Timestamp } from '../schemas.ts'

const group = 'Policy'
const DefaultDecision = OneOf(['allow', 'deny', 'require_approval'])
const Count = Type.Integer({ minimum: 0 })
const Wide = Type.String()

const Verdict = Type.Object({
  decision: Decision,
  rule: Type.String({ description: 'The deciding rule; empty where none matched' }),
  reason: Wide,
})

const Example = Type.Object({
  jobId: Wide,
  at: Timestamp,
  topic: Wide,
  principal: Wide,
  verb: Nullable(Wide),
  before: Verdict,
  after: Verdict,
  alike: Type.Integer({
    minimum: 1,
    description: 'How many decisions of this topic and principal changed the same way',
  }),
})

const WhatIfBody = Type.Object({
  draft: Type.Optional(
    Type.Object({
      bundles: Type.Optional(
        Type.Array(
          Type.Object({
            id: Type.String({ minLength: 1, maxLength: 200 }),
            content: Type.Optional(
              Type.String({ maxLength: 1_000_000, description: 'In place of what is stored; absent: what is stored' }),
            ),
            enabled: Type.Optional(Type.Boolean({ description: 'Absent: enabled; false: as if it were not there' })),
          }),
          { maxItems: 20 },
        ),
      ),
      capture: Type.Optional(
        Type.String({ maxLength: 128, description: 'Begin with the set of this bundle snapshot, as a rollback would' }),
      ),
      defaultDecision: Type.Optional(DefaultDecision),
    }),
  ),
  from: Type.Optional(Timestamp),
  until: Type.Optional(Timestamp),
  topic: Type.Optional(Type.String({ minLength: 1, maxLength: 256, description: 'A glob, as in rules: job.deploy.*' })),
  decision: Type.Optional(Type.Array(Decision, { minItems: 1, maxItems: 5 })),
  rule: Type.Optional(Type.String({ maxLength: 400, description: 'Only decisions that this rule made' })),
  against: Type.Optional(
    OneOf(['history', 'current'], {
      description: 'What the draft is held against: what was decided then (default), or what policy would say now',
    }),
  ),
  examples: Type.Optional(Type.Integer({ minimum: 0, maximum: 50, description: 'Of each change; default 20' })),
  budgetMs: Type.Optional(
    Type.Integer({ minimum: 50, maximum: 25_000, description: 'When it answers with what it has; default 20,000' }),
  ),
  cursor: Type.Optional(Type.String({ maxLength: 256, description: '`cursor` of an answer that was not complete' })),
})
export type WhatIfBody = Static<typeof WhatIfBody>

const WhatIfReply = Type.Object({
  complete: Type.Boolean({ description: 'False: the time was over. `cursor` goes on; add the two answers up' }),
  cursor: Nullable(Wide),
  remaining: Type.Integer({
    minimum: 0,
    description: 'Stored decisions of the window that were not looked at yet, counted up to 1,000,000',
  }),
  window: Type.Object({ from: Nullable(Timestamp), until: Nullable(Timestamp) }),
  replayed: Count,
  skipped: Type.Integer({ minimum: 0, description: 'What policy saw of these is not kept any more' }),
  distinct: Type.Integer({ minimum: 0, description: 'How many different questions were asked of the draft' }),
  tookMs: Count,
  snapshot: Type.Object({ draft: Wide, current: Wide }),
  warnings: Type.Array(Wide),
  newly: Type.Object({
    denied: Count,
    held: Count,
    throttled: Count,
    allowed: Count,
    constrained: Type.Integer({ minimum: 0, description: 'Allowed before too, now within limits' }),
    loosened: Type.Integer({ minimum: 0, description: 'Allowed before too, now without its limits' }),
  }),
  unchanged: Count,
  otherRule: Type.Integer({ minimum: 0, description: 'Of the unchanged: the same decision by another rule' }),
  transitions: Type.Array(Type.Object({ from: Decision, to: Decision, count: Count, examples: Type.Array(Example) })),
  rules: Type.Array(Type.Object({ rule: Wide, before: Count, after: Count })),
  rulesOmitted: Count,
})
export type WhatIfReply = Static<typeof WhatIfReply>

const Settings = Type.Object({
  defaultDecision: DefaultDecision,
  setBy: Type.String({
    description: 'The bundle that says so; `settings` is this switch; empty: the documented default, allow',
  }),
  snapshot: Type.String({ description: 'What is in force; empty: no policy is loaded, and jobs wait' }),
  revision: Count,
  problem: Nullable(Type.String({ description: 'Why the newest bundles are not in force' })),
  warnings: Type.Array(Wide),
})

/** Policy beyond the jobs document: the switch for what no rule matches, and a draft tried on what really happened. */
export const policy = area({
  getPolicySettings: {
    method: 'GET',
    path: '/wheelhouse/api/v1/policy/settings',
    group,
    summary: 'What happens when no rule matches, who says so, and what is in force; the ETag is for If-Match',
    permission: 'policy:read',
    rate: 'native',
    transaction: 'none',
    reply: Settings,
  },
  putPolicySettings: {
    method: 'PUT',
    path: '/wheelhouse/api/v1/policy/settings',
    group,
    summary: 'Decide what happens when no rule matches; null gives the word back to the bundles. In force at once',
    permission: 'policy:write',
    verb: null,
    rate: 'native',
    transaction: 'none',
    body: Type.Object({ defaultDecision: Nullable(DefaultDecision) }),
    reply: Settings,
    faults: ['RES_VERSION_CONFLICT'],
  },
  policyWhatIf: {
    method: 'POST',
    path: '/wheelhouse/api/v1/policy/what-if',
    group,
    summary:
      'Replay stored decisions under a draft, newest first, and show what it would have changed. Changes nothing. One at a time for a tenant; going away ends it',
    permission: 'policy:write',
    verb: null,
    rate: 'native',
    transaction: 'none',
    status: 200,
    bodyLimitBytes: 4_194_304,
    body: WhatIfBody,
    reply: WhatIfReply,
    faults: ['RES_NOT_FOUND', 'RES_CONFLICT', 'VAL_INVALID_RANGE', 'SYS_UNAVAILABLE'],
  },
})
