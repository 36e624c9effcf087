import { expect, test } from 'vitest'
import { decisionState, isTerminal, JOB_STATES, jobState, submittedAt, topicWords } from './job-state.ts'

test('every state has a shape and a word', () => {
  expect(JOB_STATES.map((state) => jobState(state).word)).not.toContain('')
  expect(jobState('DENIED')).toEqual({ status: 'denied', word: 'Denied' })
})
test('ended are the five that nothing leaves', () => {
  expect(JOB_STATES.filter(isTerminal)).toEqual(['SUCCEEDED', 'FAILED', 'CANCELLED', 'TIMEOUT', 'DENIED'])
})
test('the id of a job tells when it was submitted, other ids tell nothing', () => {
  expect(submittedAt('0199c0a8-7800-7abc-8def-0123456789ab')).toBe(0x0199c0a87800)
  expect(submittedAt('run-1:step@2')).toBeUndefined()
})
test('what policy has not decided is not shown as allowed', () => {
  expect(decisionState(undefined).status).toBe('unknown')
  expect(decisionState('DENY').status).toBe('denied')
})
test('a topic is read without what all share', () => {
  expect([topicWords('job.wh.fleet.command.run'), topicWords('job.mail'), topicWords(undefined)]).toEqual([
    'fleet.command.run',
    'mail',
    'default',
  ])
})
