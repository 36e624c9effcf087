import { type Static, Type, type TSchema } from 'typebox'
import { OneOf, Timestamp, Uuid } from '../schemas.ts'

/** The same schema, or null; stays one schema, so that a violation says what is wrong rather than "no branch fits". */
export function orNull<T extends TSchema>(schema: T) {
  const { type, enum: words } = schema as { type?: string; enum?: readonly unknown[] }
  if (typeof type !== 'string') throw new Error('orNull takes a schema of one type')
  return Type.Unsafe<Static<T> | null>({
    ...schema,
    type: [type, 'null'],
    ...(words ? { enum: [...words, null] } : {}),
  })
}

/** A resource's name (release.md §1). */
export const Name = Type.String({ pattern: '^[a-z0-9]([a-z0-9._-]{0,98}[a-z0-9])?$', maxLength: 100 })

export const DisplayName = Type.String({ minLength: 1, maxLength: 255 })

/** A map of texts, bounded in keys, names and values. */
export const TextMap = (maxEntries: number, maxLength: number) =>
  Type.Unsafe<Record<string, string>>({
    type: 'object',
    propertyNames: { pattern: '^[A-Za-z0-9]([A-Za-z0-9._/-]{0,126}[A-Za-z0-9])?$' },
    additionalProperties: { type: 'string', maxLength },
    maxProperties: maxEntries,
  })

export const TargetLabels = TextMap(64, 1024)

/** Where a secret is kept (unification §11): ours, release's or jobs' way of saying it. */
export const SecretRef = Type.String({ pattern: '^(vault:|secret:)\\S+$', maxLength: 500 })

/** What a secret member reads back as; writing it keeps what is stored (release.md §1). */
export const MASKED = '***'

const seconds = (maximum: number) => Type.Integer({ minimum: 0, maximum })

/** release.md §6; the rules are those of §20.3. */
export const HealthCheck = Type.Object({
  type: OneOf(['http', 'tcp', 'command', 'docker', 'none']),
  path: Type.Optional(Type.String({ pattern: '^/', maxLength: 2048 })),
  port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535 })),
  command: Type.Optional(Type.String({ minLength: 1, maxLength: 4096 })),
  expectedStatus: Type.Optional(
    Type.Array(Type.Integer({ minimum: 100, maximum: 599 }), { minItems: 1, maxItems: 50, uniqueItems: true }),
  ),
  timeout: Type.Integer({ minimum: 1, maximum: 3600, default: 30 }),
  retries: Type.Integer({ minimum: 0, maximum: 100, default: 3 }),
  interval: Type.Integer({ minimum: 1, maximum: 3600, default: 10 }),
  startPeriod: Type.Optional(seconds(86_400)),
})
export type HealthCheck = Static<typeof HealthCheck>

/** The same, where defaults are not filled in: inside unions and partial updates. */
const LooseHealthCheck = Type.Object({
  ...HealthCheck.properties,
  timeout: Type.Optional(Type.Integer({ minimum: 1, maximum: 3600 })),
  retries: Type.Optional(Type.Integer({ minimum: 0, maximum: 100 })),
  interval: Type.Optional(Type.Integer({ minimum: 1, maximum: 3600 })),
})

/** release.md §19.2. */
export const GateConfig = Type.Object({
  type: Type.String({ minLength: 1, maxLength: 200 }),
  name: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
  config: Type.Optional(Type.Record(Type.String(), Type.Unknown(), { maxProperties: 100 })),
  blocking: Type.Optional(Type.Boolean()),
  order: Type.Optional(Type.Integer({ minimum: 0, maximum: 10_000 })),
  onError: Type.Optional(OneOf(['fail', 'pending'])),
})

const failureBehavior = Type.Optional(OneOf(['rollback', 'continue', 'pause']))
const share = Type.Union([
  Type.Integer({ minimum: 0, maximum: 100_000 }),
  Type.String({ pattern: '^([0-9]|[1-9][0-9]|100)%$', maxLength: 4 }),
])
const healthCheck = Type.Optional(LooseHealthCheck)

/** release.md §20.2. Members that are left out take the environment's health check and the documented defaults. */
export const StrategyConfig = Type.Union([
  Type.Object({
    strategy: Type.Literal('all-at-once'),
    maxConcurrent: Type.Optional(Type.Integer({ minimum: 0, maximum: 10_000 })),
    healthCheck,
    failureBehavior,
  }),
  Type.Object({
    strategy: Type.Literal('rolling'),
    batchSize: Type.Optional(share),
    batchDelay: Type.Optional(seconds(86_400)),
    maxUnavailable: Type.Optional(share),
    healthCheck,
    failureThreshold: Type.Optional(share),
    failureBehavior,
    stopOnFailure: Type.Optional(Type.Boolean()),
  }),
  Type.Object({
    strategy: Type.Literal('canary'),
    stages: Type.Optional(
      Type.Array(
        Type.Object({
          name: Type.String({ minLength: 1, maxLength: 100 }),
          percentage: Type.Number({ minimum: 0, maximum: 100 }),
          duration: seconds(604_800),
          healthThreshold: Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
          requireApproval: Type.Optional(Type.Boolean()),
        }),
        { minItems: 1, maxItems: 50 },
      ),
    ),
    healthCheck,
    metrics: Type.Optional(Type.Array(Type.Record(Type.String(), Type.Unknown()), { maxItems: 50 })),
    failureBehavior,
    autoPromote: Type.Optional(Type.Boolean()),
  }),
  Type.Object({
    strategy: Type.Literal('blue-green'),
    router: Type.Object({ integrationId: Uuid, upstream: Type.String({ minLength: 1, maxLength: 255 }) }),
    warmup: Type.Optional(seconds(86_400)),
    switch: Type.Optional(OneOf(['instant', 'gradual'])),
    requireApproval: Type.Optional(Type.Boolean()),
    keepOld: Type.Optional(seconds(604_800)),
    healthCheck,
    failureBehavior,
  }),
])
export type StrategyConfig = Static<typeof StrategyConfig>

/** Which release stands in a place, and since when; null where nothing was ever deployed. */
export const CurrentRelease = orNull(Type.Object({ id: Uuid, name: Type.String(), deployedAt: Timestamp }))

export const Deleted = Type.Object({ deleted: Type.Literal(true) })

/** Two query values that several lists share: repeated or comma-separated values mean "any of" (release.md §2). */
export const AnyOf = Type.Array(Type.String({ maxLength: 1000 }), { maxItems: 50 })
