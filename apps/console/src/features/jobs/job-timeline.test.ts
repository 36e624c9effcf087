import { expect, test } from 'vitest'
import type { JobDetail } from '../../api/wire.ts'
import { jobTimeline } from './job-timeline.ts'

const job = (changes: Partial<JobDetail>): JobDetail => ({
  id: '0199c0a8-7800-7abc-8def-0123456789ab',
  state: 'SUCCEEDED',
  trace_id: 't',
  context_ptr: '',
  context: null,
  result_ptr: '',
  result: null,
  tenant: 'default',
  topic: 'job.wh.fleet.command.run',
  risk_tags: null,
  requires: null,
  idempotency_key: '',
  safety_snapshot: '',
  safety_constraints: null,
  safety_remediations: null,
  safety_job_hash: '',
  approval_required: false,
  labels: {},
  workflow_id: '',
  run_id: '',
  step_id: '',
  ...changes,
})
const start = 0x0199c0a87800

test('a job that was asked about, approved and done tells it newest first', () => {
  const entries = jobTimeline(
    job({ actor_id: 'ci', approval_at: (start + 5000) * 1000, approval_by: 'olga', approval_reason: 'checked' }),
    start + 9000,
    [
      {
        decision: 'REQUIRE_APPROVAL',
        reason: 'production asks',
        rule_id: 'prod-exec',
        checked_at: (start + 10) * 1000,
      },
    ],
    [],
  )
  expect(entries.map((entry) => [entry.what, entry.at - start])).toEqual([
    ['Done', 9000],
    ['Approved', 5000],
    ['Asks for an approval', 10],
    ['Submitted', 0],
  ])
  expect(entries[1]?.detail).toBe('by olga “checked”')
  expect(entries[2]?.rule).toBe('prod-exec')
})
test('a rejected one says so', () => {
  const [first, second] = jobTimeline(
    job({ state: 'DENIED', approval_at: (start + 5000) * 1000, error_message: 'no' }),
    start + 5001,
    [],
    [],
  )
  expect([first?.what, first?.detail, second?.what]).toEqual(['Denied', 'no', 'Rejected'])
})
test('the states it went through stand in their order, each once', () => {
  const at = (ms: number) => new Date(start + ms).toISOString()
  const states = [
    { state: 'PENDING' as const, at: at(1) },
    { state: 'RUNNING' as const, at: at(40) },
    { state: 'FAILED' as const, at: at(90) },
  ]
  const entries = jobTimeline(job({ state: 'FAILED', error_message: 'exit 1' }), start + 90, [], states)
  expect(entries.map((entry) => [entry.what, entry.at - start, entry.detail])).toEqual([
    ['Failed', 90, 'exit 1'],
    ['Running', 40, undefined],
    ['Submitted', 0, undefined],
  ])
})
