import { expect, test } from 'vitest'
import { limitsFor, routeFor, routeOf } from './pools.ts'
import type { JobRequest } from './request.ts'

const job = (more: Partial<JobRequest> = {}): JobRequest => ({ topic: 'job.a', tenant: 't', principalId: 'p', ...more })
const config = { topics: { 'job.a': ['one', 'two'] }, pools: { two: { requires: ['GPU', 'python'] } } }

test('without configured pools a topic is served by whoever subscribes to it', () => {
  expect(routeFor(null, job())).toEqual({ kind: 'topic', pool: '~job.a', topic: 'job.a' })
})

test('configured topics match exactly, and a topic that is not among them has no pool', () => {
  expect(routeFor(config, job())).toMatchObject({ kind: 'pools', pool: 'one|two' })
  expect(routeFor(config, job({ topic: 'job.b' }))).toBeUndefined()
})

test('requirements keep the pools that provide every one of them, without regard to case', () => {
  expect(routeFor(config, job({ meta: { requires: ['gpu'] } }))).toMatchObject({ pool: 'two' })
  expect(routeFor(config, job({ meta: { requires: ['gpu', 'rust'] } }))).toBeUndefined()
})

test('a preferred pool must be a candidate and becomes the only one', () => {
  expect(routeFor(config, job({ labels: { preferred_pool: 'one' } }))).toMatchObject({ pool: 'one' })
  expect(routeFor(config, job({ labels: { preferred_pool: 'three' } }))).toBeUndefined()
})

test('a verb runs in the server whatever its topic', () => {
  expect(routeFor(config, job({ topic: 'job.wh.x.y', verb: 'x:y' }))).toEqual({ kind: 'verb', pool: 'wh' })
})

test('a queue row’s pool reads back as its route', () => {
  expect(routeOf('wh').kind).toBe('verb')
  expect(routeOf('~job.x')).toEqual({ kind: 'topic', pool: '~job.x', topic: 'job.x' })
  expect(routeOf('a|b')).toEqual({ kind: 'pools', pool: 'a|b', names: ['a', 'b'] })
})

test('time and attempts come from the topic, then the workflow, then the default', () => {
  const timeouts = {
    topics: { 'job.a': { timeoutMs: 5000, maxRetries: 2 } },
    workflows: { w: { childTimeoutMs: 7000 } },
    runningTimeoutMs: 9000,
  }
  expect(limitsFor(timeouts, job())).toEqual({ timeoutMs: 5000, maxAttempts: 3 })
  expect(limitsFor(timeouts, job({ topic: 'job.b', workflowId: 'w' }))).toEqual({ timeoutMs: 7000, maxAttempts: 1 })
  expect(limitsFor(timeouts, job({ topic: 'job.b' }))).toEqual({ timeoutMs: 9000, maxAttempts: 1 })
})
