import type { Instance, LatestMetric } from '../../api/wire.ts'
import type { Facet } from '../../ui/facets.tsx'
import { matches, type Query } from '../../ui/filter-grammar.ts'
import type { Status } from '../../ui/status.tsx'
import { environmentOf, instanceState, placeOf } from './instance-state.ts'

export interface FleetRow {
  id: string
  instance: Instance
  status: Status
  word: string
  place: string
  environment: string | undefined
  metric: LatestMetric | undefined
  trend: readonly (number | null)[] | undefined
}

export const FLEET_FIELDS = [
  { field: 'status', label: 'state' },
  { field: 'env', label: 'environment, from its tags' },
  { field: 'provider', label: 'where it runs' },
  { field: 'region', label: 'region' },
  { field: 'distro', label: 'distribution' },
] as const
export type FleetField = (typeof FLEET_FIELDS)[number]['field']
export const FLEET_FIELD_NAMES = FLEET_FIELDS.map((field) => field.field)

const STATUS_ORDER: readonly Status[] = ['failed', 'warning', 'running', 'unknown', 'ok', 'off']
const STATUS_WORDS: Partial<Record<Status, string>> = {
  failed: 'Failed',
  warning: 'Warning',
  running: 'Changing',
  unknown: 'Silent',
  ok: 'Healthy',
  off: 'At rest',
}

/** The rank of a state in a list: what needs care comes first. */
export function statusRank(status: Status): number {
  const at = STATUS_ORDER.indexOf(status)
  return at < 0 ? STATUS_ORDER.length : at
}

export function fleetRow(
  instance: Instance,
  metrics: ReadonlyMap<string, LatestMetric> | undefined,
  trends: ReadonlyMap<string, (number | null)[]> | undefined,
): FleetRow {
  const metric = metrics?.get(instance.id)
  return {
    id: instance.id,
    instance,
    ...instanceState(instance, metric),
    place: placeOf(instance),
    environment: environmentOf(instance),
    metric,
    trend: trends?.get(instance.id),
  }
}

/** The value a row has for a field of the grammar. */
export function fieldOf(row: FleetRow, field: string): string | undefined {
  const values: Record<FleetField, string | null | undefined> = {
    status: row.status,
    env: row.environment,
    provider: row.instance.provider,
    region: row.instance.region,
    distro: row.instance.distro,
  }
  return values[field as FleetField] ?? undefined
}

export function filterRows(rows: readonly FleetRow[], query: Query): FleetRow[] {
  return rows.filter((row) =>
    matches(
      query,
      (field) => fieldOf(row, field),
      () => `${row.instance.name} ${row.id} ${row.place} ${Object.values(row.instance.tags ?? {}).join(' ')}`,
    ),
  )
}

/** Facets with their counts under the present filter. What a field's own terms hide is still counted, so that a further value can be chosen. */
export function fleetFacets(rows: readonly FleetRow[], query: Query): Facet[] {
  const facet = (field: FleetField, title: string): Facet => {
    const others = { ...query, terms: query.terms.filter((term) => term.field !== field) }
    const counts = new Map<string, number>()
    for (const row of rows) {
      const value = fieldOf(row, field)
      if (value !== undefined && !counts.has(value)) counts.set(value, 0)
    }
    for (const row of filterRows(rows, others)) {
      const value = fieldOf(row, field)
      if (value !== undefined) counts.set(value, (counts.get(value) ?? 0) + 1)
    }
    const options = [...counts].map(([value, count]) => ({ value, count }))
    return {
      field,
      title,
      options: options.sort((a, b) => b.count - a.count || a.value.localeCompare(b.value)).slice(0, 12),
    }
  }
  const status = facet('status', 'Status')
  return [
    {
      ...status,
      options: STATUS_ORDER.map((value) => ({
        value,
        label: STATUS_WORDS[value] ?? value,
        status: value,
        count: status.options.find((option) => option.value === value)?.count ?? 0,
      })),
    },
    facet('env', 'Environment'),
    facet('provider', 'Provider'),
    facet('region', 'Region'),
    facet('distro', 'Distribution'),
  ].filter((each) => each.options.length > 0)
}

/** The one filter without which most rows come back. */
export function tightestTerm(rows: readonly FleetRow[], query: Query): { index: number; without: number } | undefined {
  const tried = query.terms.map((_term, index) => ({
    index,
    without: filterRows(rows, { ...query, terms: query.terms.filter((_other, at) => at !== index) }).length,
  }))
  return tried.sort((a, b) => b.without - a.without)[0]
}
