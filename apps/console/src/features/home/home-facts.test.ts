import { describe, expect, test } from 'vitest'
import type { FleetStats, Instance, JobRecord } from '../../api/wire.ts'
import { fleetTiles, headline, heardStats, jobRates } from './home-facts.ts'

const stats = (by_status: FleetStats['by_status'], total: number): FleetStats => ({
  total,
  by_status,
  by_provider: [],
  active_sessions: 0,
  updated_at: '2026-11-22T00:00:00Z',
})

describe('the sentence of the home page', () => {
  test('a good day is told in one sentence', () => {
    expect(headline(stats({ RUNNING: 12 }, 12), 0)).toEqual({
      fleet: 'All 12 instances are healthy.',
      rest: 'Nothing is wrong, nothing waits.',
    })
  })
  test('what is wrong is counted', () => {
    expect(headline(stats({ RUNNING: 9, ERROR: 1, UNKNOWN: 2 }, 12), 3)).toEqual({
      fleet: '9 of 12 instances are healthy.',
      rest: '1 instance failed. 2 instances silent.',
    })
  })
  test('what was registered and never heard of is not called healthy', () => {
    const unheard = { status: 'RUNNING', lastHeartbeat: null } as Instance
    const heard = heardStats(stats({ RUNNING: 4 }, 4), [unheard, { ...unheard, status: 'STOPPED' }])
    expect(headline(heard, 0)).toEqual({ fleet: '3 of 4 instances are healthy.', rest: '1 instance silent.' })
  })
  test('what rests on purpose is not counted as ill', () => {
    expect(headline(stats({ RUNNING: 1, STOPPED: 3 }, 4), 0).fleet).toBe('The one instance that is up is healthy.')
    expect(headline(stats({ RUNNING: 2, ERROR: 1, SUSPENDED: 1 }, 4), 0).fleet).toBe(
      '2 of 3 instances that are up are healthy.',
    )
    expect(headline(stats({ STOPPED: 2 }, 2), 0).fleet).toBe('Every instance is at rest.')
  })
  test('a fleet that cannot be seen is not called healthy', () => {
    expect(headline(undefined, 0).fleet).toBe('The fleet cannot be seen.')
  })
})

test('the last hour of jobs is counted in slots, older ones only by their state', () => {
  const now = Date.UTC(2026, 10, 22, 14)
  const job = (minutes: number, state: JobRecord['state']): JobRecord => ({
    id: String(minutes),
    state,
    updated_at: (now - minutes * 60_000) * 1000,
  })
  const rates = jobRates([job(1, 'FAILED'), job(2, 'SUCCEEDED'), job(59, 'RUNNING'), job(120, 'PENDING')], now)
  expect(rates).toMatchObject({ live: 1, queued: 1, held: 0, failed: 1 })
  expect(rates.trend[11]).toBeCloseTo(0.4)
  expect(rates.trend[0]).toBeCloseTo(0.2)
})

test('marks are grouped by environment when tags name one', () => {
  const instance = (id: string, env?: string) =>
    ({ id, name: id, provider: 'docker', status: 'RUNNING', ...(env ? { tags: { env } } : {}) }) as unknown as Instance
  expect(
    fleetTiles([instance('a', 'prod'), instance('b', 'prod'), instance('c')], undefined).map((group) => [
      group.name,
      group.end,
    ]),
  ).toEqual([
    ['prod', '2 of 2'],
    ['no environment', '1 of 1'],
  ])
  expect(fleetTiles([instance('a')], undefined)[0]?.name).toBe('docker')
})
