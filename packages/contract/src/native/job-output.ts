import { type Static, Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Id, Json, OneOf, Timestamp } from '../schemas.ts'

/** States as the jobs surface calls them (jobs.md §5.1). */
export const JOB_WORDS = [
  'PENDING',
  'APPROVAL_REQUIRED',
  'SCHEDULED',
  'DISPATCHED',
  'RUNNING',
  'SUCCEEDED',
  'FAILED',
  'CANCELLED',
  'TIMEOUT',
  'DENIED',
] as const
export type JobWord = (typeof JOB_WORDS)[number]

const at = Timestamp

/** Events `stdout` and `stderr`; their id is `seq`, from which a broken stream goes on. */
export const OutputEvent = Type.Object({ seq: Type.Integer(), chunk: Type.String(), at })

/** Event `state`: where the job is now and, of the decision that put it there, the rule and its reason. */
export const StateEvent = Type.Object({
  state: OneOf(JOB_WORDS),
  at,
  decision: Type.Optional(Type.String()),
  rule: Type.Optional(Type.String()),
  reason: Type.Optional(Type.String()),
})

/** Event `progress`, as the driver or worker tells it. */
export const ProgressEvent = Type.Object({
  percent: Type.Optional(Type.Number()),
  message: Type.Optional(Type.String()),
  at,
})

/** Event `gap`: some output is gone, because it was more than is kept. */
export const GapEvent = Type.Object({ after: Type.Integer() })

/** Event `end`, the last one. `output` is what the job gave, where that is at most 64 KiB. */
export const EndEvent = Type.Object({
  state: OneOf(JOB_WORDS),
  code: Type.Optional(Type.String()),
  message: Type.Optional(Type.String()),
  output: Type.Optional(Json),
})

export type OutputEvent = Static<typeof OutputEvent>
export type StateEvent = Static<typeof StateEvent>
export type ProgressEvent = Static<typeof ProgressEvent>
export type GapEvent = Static<typeof GapEvent>
export type EndEvent = Static<typeof EndEvent>

/** What a running job writes and how it fares, for whoever watches it live. */
export const jobOutput = area({
  streamJobOutput: {
    kind: 'sse',
    method: 'GET',
    path: '/wheelhouse/api/v1/jobs/{id}/output',
    group: 'Jobs',
    summary: 'Output and state of a job from its beginning to its end; goes on after Last-Event-ID where it was cut',
    permission: 'job:read',
    rate: 'native',
    params: Type.Object({ id: Id }),
    query: Type.Object({ after: Type.Optional(Type.Integer({ minimum: 0 })) }),
    reply: Type.Union([OutputEvent, StateEvent, ProgressEvent, GapEvent, EndEvent]),
    faults: ['JOB_NOT_FOUND'],
  },
})
