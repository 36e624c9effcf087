import type { MarketplacePack } from '@wheelhouse/contract/jobs/packs'
import { isJson } from './merge-patch.ts'

/** A pack as a catalogue lists it: it can be downloaded and checked. */
export type Listed = MarketplacePack & { url: string; sha256: string }

const MAX_ENTRIES = 10_000
const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value.slice(0, 4096) : undefined
const texts = (value: unknown): string[] | undefined =>
  Array.isArray(value) ? value.filter((each) => typeof each === 'string').slice(0, 200) : undefined

const TEXTS = ['title', 'description', 'author', 'homepage', 'source', 'image', 'license'] as const
const LISTS = ['capabilities', 'requires', 'risk_tags'] as const

/** Reads a catalogue file (jobs.md 24.5). Entries without id, version, url or sha256 are dropped. Undefined when it is no catalogue. */
export function readCatalogFile(value: unknown): { updatedAt: string | undefined; packs: Listed[] } | undefined {
  if (!isJson(value) || !Array.isArray(value['packs'])) return undefined
  return {
    updatedAt: text(value['updated_at']),
    packs: value['packs'].slice(0, MAX_ENTRIES).flatMap((each: unknown) => listedOf(each) ?? []),
  }
}

function listedOf(entry: unknown): Listed | undefined {
  if (!isJson(entry)) return undefined
  const [id, version, url, sha256] = ['id', 'version', 'url', 'sha256'].map((name) => text(entry[name]))
  if (id === undefined || version === undefined || url === undefined || sha256 === undefined) return undefined
  const listed: Listed = { id, version, url, sha256: sha256.toLowerCase() }
  for (const name of TEXTS) {
    const value = text(entry[name])
    if (value !== undefined) listed[name] = value
  }
  for (const name of LISTS) {
    const value = texts(entry[name])
    if (value) listed[name] = value
  }
  return listed
}

const NUMBERS = /^v?\d+(?:\.\d+)*$/

/** Negative when `a` is lower: by dotted numbers where both are such, else as texts (jobs.md 24.5). */
export function compareVersions(a: string, b: string): number {
  if (!NUMBERS.test(a) || !NUMBERS.test(b)) return a < b ? -1 : a > b ? 1 : 0
  const numbers = (version: string): number[] => version.replace(/^v/, '').split('.').map(Number)
  const [left, right] = [numbers(a), numbers(b)]
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** The highest version of each pack over all catalogues, by id; of equals the first catalogue's. */
export function highest(packs: readonly Listed[]): Listed[] {
  const best = new Map<string, Listed>()
  for (const pack of packs) {
    const known = best.get(pack.id)
    if (!known || compareVersions(pack.version, known.version) > 0) best.set(pack.id, pack)
  }
  return [...best.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
}
