import { describe, expect, test } from 'vitest'
import type { Instance } from '../../api/wire.ts'
import { parseQuery } from '../../ui/filter-grammar.ts'
import { FLEET_FIELD_NAMES, filterRows, fleetFacets, fleetRow, tightestTerm } from './fleet-rows.ts'

const instance = (name: string, changes: Partial<Instance> = {}): Instance => ({
  id: name,
  name,
  provider: 'docker',
  region: null,
  distro: 'ubuntu',
  extensions: [],
  configHash: null,
  sshEndpoint: null,
  status: 'RUNNING',
  createdAt: '2026-11-22T00:00:00Z',
  updatedAt: '2026-11-22T00:00:00Z',
  ...changes,
})
const rows = [
  instance('edge-1', { status: 'ERROR', provider: 'aws', tags: { env: 'production' } }),
  instance('edge-2', { tags: { env: 'production' } }),
  instance('web-1', { provider: 'aws', status: 'SUSPENDED', tags: { env: 'staging' } }),
].map((each) => fleetRow(each, undefined, undefined))
const query = (source: string) => parseQuery(source, FLEET_FIELD_NAMES)

describe('filtering the fleet', () => {
  test('terms and words narrow it', () => {
    expect(filterRows(rows, query('env:production edge')).map((row) => row.id)).toEqual(['edge-1', 'edge-2'])
    expect(filterRows(rows, query('-status:ok provider:aws')).map((row) => row.id)).toEqual(['edge-1', 'web-1'])
  })
  test('a facet counts under the other filters, and keeps a value at zero', () => {
    const facets = fleetFacets(rows, query('env:staging'))
    const status = facets.find((facet) => facet.field === 'status')
    expect(status?.options.map((option) => [option.value, option.count])).toEqual([
      ['failed', 0],
      ['warning', 0],
      ['running', 0],
      ['unknown', 0],
      ['ok', 0],
      ['off', 1],
    ])
    const env = facets.find((facet) => facet.field === 'env')
    expect(env?.options).toEqual([
      { value: 'production', count: 2 },
      { value: 'staging', count: 1 },
    ])
  })
  test('the tightest filter is the one without which most come back', () => {
    expect(tightestTerm(rows, query('provider:aws env:staging status:failed'))).toEqual({ index: 1, without: 1 })
    expect(tightestTerm(rows, query('edge'))).toBeUndefined()
  })
})
