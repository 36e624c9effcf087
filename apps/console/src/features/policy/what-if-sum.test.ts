import type { WhatIfReply } from '@wheelhouse/contract/native/policy'
import { expect, test } from 'vitest'
import { addUp } from './what-if-sum.ts'

type Example = WhatIfReply['transitions'][number]['examples'][number]
const example = (jobId: string, topic: string, alike: number): Example => ({
  jobId,
  at: '2026-11-22T10:00:00Z',
  topic,
  principal: 'ada',
  verb: null,
  before: { decision: 'ALLOW', rule: '', reason: '' },
  after: { decision: 'DENY', rule: 'r', reason: 'no' },
  alike,
})
function part(denied: number, examples: Example[], more: Partial<WhatIfReply> = {}): WhatIfReply {
  return {
    complete: false,
    cursor: 'c1',
    remaining: 50,
    window: { from: null, until: '2026-11-22T10:00:00Z' },
    replayed: 10,
    skipped: 1,
    distinct: 2,
    tookMs: 100,
    snapshot: { draft: 'd', current: 'c' },
    warnings: ['one bundle has no tests'],
    newly: { denied, held: 0, throttled: 0, allowed: 1, constrained: 0, loosened: 0 },
    unchanged: 9 - denied,
    otherRule: 0,
    transitions: [{ from: 'ALLOW', to: 'DENY', count: denied, examples }],
    rules: [{ rule: 'r', before: 0, after: denied }],
    rulesOmitted: 0,
    ...more,
  }
}

test('two parts are one answer: counts are added, what is left is what the later part says', () => {
  const sum = addUp(
    part(2, [example('j1', 'job.a', 2)]),
    part(3, [example('j2', 'job.a', 1), example('j3', 'job.b', 2)], { complete: true, cursor: null, remaining: 0 }),
  )
  expect(sum).toMatchObject({
    complete: true,
    cursor: null,
    remaining: 0,
    replayed: 20,
    skipped: 2,
    tookMs: 200,
    newly: { denied: 5, allowed: 2 },
    unchanged: 13,
    warnings: ['one bundle has no tests'],
    rules: [{ rule: 'r', before: 0, after: 5 }],
    window: { until: '2026-11-22T10:00:00Z' },
  })
  expect(sum.transitions).toHaveLength(1)
  expect(sum.transitions[0]).toMatchObject({ count: 5 })
  expect(sum.transitions[0]?.examples.map(({ jobId, alike }) => [jobId, alike])).toEqual([
    ['j1', 3],
    ['j3', 2],
  ])
})

test('a change that only the later part saw comes in, and the greatest stands first', () => {
  const later = part(1, [], { transitions: [{ from: 'DENY', to: 'ALLOW', count: 9, examples: [] }] })
  expect(addUp(part(2, []), later).transitions.map(({ to, count }) => [to, count])).toEqual([
    ['ALLOW', 9],
    ['DENY', 2],
  ])
})
