import { expect, test } from 'vitest'
import { traceRows } from './trace-rows.ts'

type Spans = Parameters<typeof traceRows>[0]
const at = (second: number) => new Date(Date.UTC(2026, 10, 22, 14, 0, second)).toISOString()
const span = (spanId: string, parentSpanId: string | null, kind: string, name: string, second: number) => ({
  spanId,
  parentSpanId,
  kind,
  name,
  jobId: `run:${spanId}@1`,
  startedAt: at(second),
  endedAt: at(second + 1),
  durationMs: 1000,
  status: 'ok',
  attributes: {},
})

test('what belongs to a job stands under it, though jobs began at the same time', () => {
  const spans = [
    span('one', null, 'job', 'job.print', 0),
    span('two', null, 'job', 'job.print', 0),
    span('p1', 'one', 'policy', 'ALLOW', 0),
    span('p2', 'two', 'policy', 'REQUIRE_APPROVAL', 0),
    span('q2', 'two', 'queue', 'waiting', 1),
    span('w1', 'one', 'run', 'printer-1', 1),
    span('lost', 'beyond the bound', 'job', 'job.other', 2),
  ] as Spans
  const rows = traceRows(spans, Date.parse(at(9)))
  expect(rows.map(({ name, depth }) => [name, depth])).toEqual([
    ['print one', 0],
    ['Policy: allowed', 1],
    ['printer-1', 1],
    ['print two', 0],
    ['Policy: asks for an approval', 1],
    ['Waited for a slot', 1],
    ['other lost', 0],
  ])
  expect(rows.find(({ name }) => name === 'Policy: asks for an approval')?.status).toBe('waiting')
})
