import { expect, test } from 'vitest'
import type { LatestMetric } from '../../api/wire.ts'
import { environmentOf, instanceState, placeOf } from './instance-state.ts'

const metric = (changes: Partial<LatestMetric>): LatestMetric => ({
  instanceId: 'a',
  timestamp: '2026-11-22T00:00:00Z',
  cpuPercent: 10,
  memPercent: 10,
  diskPercent: 10,
  loadAvg1: null,
  ...changes,
})

test('one that runs is healthy, until its disk is nearly full', () => {
  expect(instanceState({ status: 'RUNNING' }, metric({}))).toEqual({ status: 'ok', word: 'Healthy' })
  expect(instanceState({ status: 'RUNNING' }, metric({ diskPercent: 94.2 }))).toEqual({
    status: 'warning',
    word: 'Disk 94 %',
  })
})
test('what is not known is never shown as healthy', () => {
  expect(instanceState({ status: 'UNKNOWN' }).status).toBe('unknown')
  expect(instanceState({ status: 'RUNNING', lastHeartbeat: null })).toEqual({
    status: 'unknown',
    word: 'Never heard of',
  })
  expect(instanceState({ status: 'SUSPENDED', lastHeartbeat: null }).status).toBe('off')
})
test('a failed one stays failed, however full it is', () => {
  expect(instanceState({ status: 'ERROR' }, metric({ diskPercent: 99 })).status).toBe('failed')
})
test('a place needs no region, an environment comes from the tags', () => {
  expect(placeOf({ provider: 'docker', region: null })).toBe('docker')
  expect(environmentOf({ tags: { env: 'production' } })).toBe('production')
  expect(environmentOf({})).toBeUndefined()
})
