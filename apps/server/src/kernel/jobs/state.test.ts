import { expect, test } from 'vitest'
import { jobState, statesOf, stateWord, wireStatus } from './state.ts'

test('each state reads on each surface as unification §5 says', () => {
  expect(stateWord('jobs', 'held')).toBe('APPROVAL_REQUIRED')
  expect(stateWord('fleetCommand', 'held')).toBe('PENDING')
  expect(stateWord('fleetCommand', 'denied')).toBe('FAILED')
  expect(stateWord('fleetTask', 'cancelled')).toBe('SKIPPED')
  expect(stateWord('fleetTask', 'timed_out')).toBe('TIMED_OUT')
  expect(stateWord('agentTask', 'timed_out')).toBe('expired')
  expect(stateWord('agentTask', 'denied')).toBeNull()
})

test('a word names its states without regard to case', () => {
  expect(statesOf('jobs', 'timeout')).toEqual(['timed_out'])
  expect(statesOf('fleetCommand', 'PENDING')).toEqual(['pending', 'held', 'scheduled'])
  expect(statesOf('jobs', 'sleeping')).toEqual([])
})

test('the queue row tells the state of a job that has not ended, the record that of one that has', () => {
  expect(jobState('open', 'leased')).toBe('running')
  expect(jobState('open', 'undecided')).toBe('pending')
  expect(jobState('cancelled', 'cancelling')).toBe('cancelled')
  expect(jobState('succeeded', null)).toBe('succeeded')
})

test('a dead letter names the protocol’s status', () => {
  expect(wireStatus('timed_out')).toBe('JOB_STATUS_TIMEOUT')
  expect(wireStatus('denied')).toBe('JOB_STATUS_DENIED')
})
