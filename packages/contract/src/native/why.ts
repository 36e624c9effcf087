import { type Static, Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Id, OneOf, Timestamp } from '../schemas.ts'

/** What something may wait for. */
export const WAIT_KINDS = [
  'approval',
  'policy',
  'throttle',
  'worker',
  'capacity',
  'limit',
  'paused',
  'draining',
  'retry',
  'offered',
  'running',
  'time',
  'step',
  'principal',
  'turn',
] as const

/**
 * Why something is where it is: what it waits for, since when, and what clears it. The same shape for jobs and runs; `text` is all of it
 * for people, and the whole answer where `Accept` asks for `text/plain`.
 */
export const Why = Type.Object({
  id: Id,
  state: Type.String(),
  summary: Type.String({ description: 'One sentence' }),
  since: Timestamp,
  ended: Type.Boolean(),
  waitsFor: Type.Array(
    Type.Object({
      kind: OneOf(WAIT_KINDS),
      text: Type.String(),
      since: Type.Optional(Timestamp),
      until: Type.Optional(Timestamp),
      clears: Type.Optional(Type.String({ description: 'What has to happen, or be done' })),
      ref: Type.Optional(
        Type.Object({
          kind: Type.String({ description: 'approval, rule, worker, queue, job, run, principal' }),
          id: Type.String(),
          href: Type.Optional(Type.String({ description: 'Where the console shows it' })),
        }),
      ),
    }),
  ),
  text: Type.String(),
})

export type Why = Static<typeof Why>

export const why = area({
  whyJob: {
    method: 'GET',
    path: '/wheelhouse/api/v1/jobs/{id}/why',
    group: 'Jobs',
    summary:
      'What a job waits for, since when, and what clears it; or why it ended as it did. As text for `text/plain`',
    permission: 'job:read',
    rate: 'native',
    text: true,
    params: Type.Object({ id: Id }),
    reply: Why,
    faults: ['JOB_NOT_FOUND'],
  },
})
