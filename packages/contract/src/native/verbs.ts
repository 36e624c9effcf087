import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Json, OneOf } from '../schemas.ts'

const group = 'Jobs'
const Name = Type.String({ minLength: 3, maxLength: 128 })

/** What this installation can be asked to do, and what policy would say before it is asked (product.md, blast radius before you press). */
export const verbs = area({
  listVerbs: {
    method: 'GET',
    path: '/wheelhouse/api/v1/verbs',
    group,
    summary: 'The verbs that the caller may use: what each takes, how risky it is, how long it may take',
    permission: 'policy:read',
    rate: 'native',
    transaction: 'none',
    reply: Type.Object({
      items: Type.Array(
        Type.Object({
          name: Type.String(),
          topic: Type.String(),
          risk: Type.Array(Type.String()),
          timeoutMs: Type.Integer(),
          maxAttempts: Type.Integer(),
          input: Json,
        }),
      ),
    }),
  },
  previewVerb: {
    method: 'POST',
    path: '/wheelhouse/api/v1/verbs/{name}/preview',
    group,
    summary:
      'What policy would say of this verb with this input, on the facts that a submission now would see; nothing is done or recorded',
    permission: 'policy:read',
    verb: null,
    rate: 'native',
    transaction: 'none',
    status: 200,
    params: Type.Object({ name: Name }),
    body: Type.Object({ input: Json }),
    reply: Type.Object({
      decision: OneOf(['ALLOW', 'DENY', 'REQUIRE_APPROVAL', 'THROTTLE', 'ALLOW_WITH_CONSTRAINTS']),
      why: Type.String(),
      rule: Type.String(),
      snapshot: Type.String(),
      trace: Type.Array(
        Type.Object({ rule: Type.String(), matched: Type.Boolean(), failedOn: Type.Optional(Type.String()) }),
      ),
    }),
    faults: ['RES_NOT_FOUND', 'PERM_DENIED', 'SYS_UNAVAILABLE'],
  },
})
