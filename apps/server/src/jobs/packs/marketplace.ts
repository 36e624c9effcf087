import { createHash } from 'node:crypto'
import { Fault } from '@wheelhouse/contract'
import { type MarketplacePack, PACK_BYTES } from '@wheelhouse/contract/jobs/packs'
import { LRUCache } from 'lru-cache'
import { type Instant, iso } from '../../kernel/clock/index.ts'
import type { EgressReply } from '../../kernel/egress/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { highest, type Listed, readCatalogFile } from './catalog-file.ts'
import { type Catalog, storedCatalogs } from './catalogs.ts'
import { refuse } from './manifest.ts'
import { installedPacks } from './registry.ts'
import { packTrust } from './trust.ts'

interface Wanted {
  catalog_id?: string
  pack_id?: string
  version?: string
  url?: string
  sha256?: string
}

interface Download {
  bytes: Uint8Array
  signature: Uint8Array | undefined
  url: string
}

type CatalogState = Catalog & { updated_at?: string; error?: string }

interface Fetched {
  catalogs: CatalogState[]
  packs: Listed[]
  at: Instant
}

/** What catalogues offer a tenant, and the way to get it (jobs.md 24.5). */
export interface Marketplace {
  list(tenantId: string): Promise<{
    catalogs: CatalogState[]
    items: MarketplacePack[]
    fetched_at?: string
    cached: boolean
  }>
  /** Fetches a listed bundle and checks its hash. Throws VAL_SCHEMA in the documented words, RES_NOT_FOUND for what is not listed. */
  download(tenantId: string, wanted: Wanted): Promise<Download>
}

const CACHE_MS = 30_000
const CATALOG_BYTES = 8 * 1024 * 1024
const SIGNATURE_BYTES = 1024
const CATALOG_TIMEOUT_MS = 10_000
const PACK_TIMEOUT_MS = 60_000
const MAX_REDIRECTS = 3

export function openMarketplace({
  db,
  clock,
  config,
  egress,
}: Pick<Kernel, 'db' | 'clock' | 'config' | 'egress'>): Marketplace {
  const cache = new LRUCache<string, { key: string; fetching: Promise<Fetched>; until: Instant }>({ max: 500 })

  /** The tenant's own list, else the one that the installation names; by default there is none (no call is made that nobody asked for). */
  async function catalogsOf(tenantId: string): Promise<Catalog[]> {
    const stored = await db.tenant(tenantId, (tx) => storedCatalogs(tx))
    if (stored) return stored
    const { id, title, url, disabled } = config.packs.catalog
    return url === undefined || disabled ? [] : [{ id, title, url, enabled: true }]
  }

  async function read(catalog: Catalog): Promise<{ state: CatalogState; packs: Listed[] }> {
    if (!catalog.enabled) return { state: catalog, packs: [] }
    try {
      const reply = await egress.fetch(catalog.url, {
        maxBytes: CATALOG_BYTES,
        timeoutMs: CATALOG_TIMEOUT_MS,
        maxRedirects: MAX_REDIRECTS,
      })
      if (reply.status !== 200) return { state: { ...catalog, error: `answered ${reply.status}` }, packs: [] }
      const file = readCatalogFile(reply.json())
      if (!file) return { state: { ...catalog, error: 'is no catalogue: it must be {packs: [..]}' }, packs: [] }
      return {
        state: { ...catalog, ...(file.updatedAt === undefined ? {} : { updated_at: file.updatedAt }) },
        packs: file.packs.map((pack) => ({ ...pack, catalog_id: catalog.id, catalog_title: catalog.title })),
      }
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      return { state: { ...catalog, error: error.message }, packs: [] }
    }
  }

  async function fetchAll(catalogs: readonly Catalog[]): Promise<Fetched> {
    const read_ = await Promise.all(catalogs.map(read))
    return { catalogs: read_.map(({ state }) => state), packs: read_.flatMap(({ packs }) => packs), at: clock.now() }
  }

  async function offered(tenantId: string): Promise<Fetched & { cached: boolean }> {
    const catalogs = await catalogsOf(tenantId)
    const key = JSON.stringify(catalogs)
    const known = cache.get(tenantId)
    if (known && known.key === key && known.until > clock.now()) return { ...(await known.fetching), cached: true }
    const fetching = fetchAll(catalogs)
    cache.set(tenantId, { key, fetching, until: clock.now() + CACHE_MS })
    fetching.catch(() => cache.delete(tenantId))
    return { ...(await fetching), cached: false }
  }

  async function choose(tenantId: string, wanted: Wanted): Promise<Listed> {
    const { catalog_id = '', pack_id = '', version = '', url = '', sha256 = '' } = wanted
    if (url !== '') {
      if (sha256 === '') refuse('sha256 required')
      requireWeb(url)
      const { packs } = await offered(tenantId)
      const same = packs.find((pack) => pack.url === url)
      if (same && same.sha256 !== sha256.trim().toLowerCase()) refuse('sha256 mismatch')
      return same ?? refuse(`url host ${new URL(url).host} not allowed: no enabled catalogue lists this url`)
    }
    if (catalog_id === '' || pack_id === '') refuse('catalog_id and pack_id required')
    const { catalogs, packs } = await offered(tenantId)
    const catalog = catalogs.find(({ id, enabled }) => id === catalog_id && enabled)
    const listed = packs.filter((pack) => pack.catalog_id === catalog_id && pack.id === pack_id)
    const chosen = version === '' ? highest(listed)[0] : listed.find((pack) => pack.version === version)
    if (!chosen) {
      const broken = catalog?.error === undefined ? '' : ` (the catalogue ${catalog.error})`
      throw new Fault('RES_NOT_FOUND', { catalog_id, pack_id }, { message: `marketplace pack not found${broken}` })
    }
    requireWeb(chosen.url)
    return chosen
  }

  async function fetchBundle(url: string): Promise<EgressReply> {
    try {
      return await egress.fetch(url, {
        maxBytes: PACK_BYTES,
        timeoutMs: PACK_TIMEOUT_MS,
        maxRedirects: MAX_REDIRECTS,
      })
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      if (error.details?.['reason'] === 'too_large')
        refuse(`pack download exceeds max size (${PACK_BYTES} bytes)`, error)
      return refuse(`download failed: ${error.message}`, error)
    }
  }

  /** `<url>.sig`, asked for only where somebody is trusted. What cannot be had is no signature. */
  async function fetchSignature(tenantId: string, url: string): Promise<Uint8Array | undefined> {
    const { keys } = await db.tenant(tenantId, (tx) => packTrust(tx))
    if (keys.length === 0) return undefined
    const beside = new URL(url)
    beside.pathname += '.sig'
    try {
      const reply = await egress.fetch(beside.href, {
        maxBytes: SIGNATURE_BYTES,
        timeoutMs: CATALOG_TIMEOUT_MS,
        maxRedirects: MAX_REDIRECTS,
      })
      return reply.status === 200 ? reply.body : undefined
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      return undefined
    }
  }

  return {
    async list(tenantId) {
      const { catalogs, packs, at, cached } = await offered(tenantId)
      const installed = await db.tenant(tenantId, (tx) => installedPacks(tx))
      return {
        catalogs,
        items: highest(packs).map((pack) => {
          const record = installed.get(pack.id)
          if (!record) return pack
          const { version, status, installed_at } = record
          return {
            ...pack,
            installed_version: version,
            installed_status: status,
            ...(installed_at === undefined ? {} : { installed_at }),
          }
        }),
        ...(catalogs.some(({ enabled }) => enabled) ? { fetched_at: iso(at) } : {}),
        cached,
      }
    },

    async download(tenantId, wanted) {
      const { url, sha256 } = await choose(tenantId, wanted)
      const reply = await fetchBundle(url)
      if (reply.status !== 200) refuse(`download failed: ${new URL(url).host} answered ${reply.status}`)
      if (createHash('sha256').update(reply.body).digest('hex') !== sha256) refuse('sha256 mismatch')
      return { bytes: reply.body, signature: await fetchSignature(tenantId, url), url }
    },
  }
}

function requireWeb(url: string): void {
  if (!URL.canParse(url)) refuse('download url required')
  const { protocol } = new URL(url)
  if (protocol !== 'https:' && protocol !== 'http:') refuse(`unsupported url scheme ${protocol.replace(':', '')}`)
}
