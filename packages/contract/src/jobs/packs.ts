import { type Static, Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Json, Nullable, OneOf, Timestamp } from '../schemas.ts'
import { Text } from './shapes.ts'

const group = 'Packs'
const Wide = Type.String()
const Texts = Type.Array(Type.String())

/** A pack's bundle as it travels (jobs.md §24.1). */
export const PACK_BYTES = 64 * 1024 * 1024
/** Room for the parts of the form around the bundle. */
const FORM_BYTES = PACK_BYTES + 1024 * 1024

const Hashes = Type.Record(Type.String(), Type.String())
const Flag = Type.Optional(Type.Boolean())

/** What was found of the bundle's signature: who signed it, or why nobody counts. */
export const PackSignature = Type.Object({
  state: OneOf(['verified', 'unsigned', 'untrusted']),
  key_id: Type.Optional(Type.String()),
})

/** jobs.md §13. */
export const PackRecord = Type.Object({
  id: Wide,
  version: Wide,
  status: OneOf(['ACTIVE', 'INACTIVE', 'DISABLED']),
  installed_at: Type.Optional(Timestamp),
  installed_by: Type.Optional(Wide),
  manifest: Type.Object({
    metadata: Type.Object({ id: Wide, version: Wide, title: Wide, description: Wide, image: Type.Optional(Wide) }),
    compatibility: Type.Object({ protocolVersion: Type.Integer(), minCoreVersion: Wide, maxCoreVersion: Wide }),
    topics: Type.Optional(
      Type.Array(Type.Object({ name: Wide, requires: Nullable(Texts), riskTags: Nullable(Texts), capability: Wide })),
    ),
  }),
  resources: Type.Object({ schemas: Type.Optional(Hashes), workflows: Type.Optional(Hashes) }),
  overlays: Type.Object({
    config: Type.Optional(
      Type.Array(
        Type.Object({
          name: Wide,
          scope: Wide,
          scope_id: Wide,
          key: Wide,
          patch: Type.Record(Type.String(), Json),
        }),
      ),
    ),
    policy: Type.Optional(Type.Array(Type.Object({ name: Wide, fragment_id: Wide }))),
  }),
  tests: Type.Object({
    policySimulations: Nullable(
      Type.Array(
        Type.Object({
          name: Wide,
          request: Type.Object({
            tenantId: Wide,
            topic: Wide,
            capability: Wide,
            packId: Wide,
            actorId: Wide,
            actorType: Wide,
            riskTags: Nullable(Texts),
            requires: Nullable(Texts),
          }),
          expectDecision: Wide,
        }),
      ),
    ),
  }),
  // Beyond the document: where the bundle came from, and whether somebody trusted vouches for it.
  sha256: Type.Optional(Wide),
  signature: Type.Optional(PackSignature),
})
export type PackRecord = Static<typeof PackRecord>

const Id = Type.Object({ id: Type.String({ minLength: 1, maxLength: 128 }) })

/** jobs.md §13 and §24. */
export const packs = area({
  listPacks: {
    method: 'GET',
    path: '/api/v1/packs',
    group,
    summary: 'Installed packs, also those that were uninstalled',
    permission: 'pack:read',
    rate: 'jobs-tenant',
    reply: Type.Object({ items: Type.Array(PackRecord) }),
  },
  getPack: {
    method: 'GET',
    path: '/api/v1/packs/{id}',
    group,
    summary: 'The record of one pack',
    permission: 'pack:read',
    rate: 'jobs-tenant',
    params: Id,
    reply: PackRecord,
    faults: ['RES_NOT_FOUND'],
  },
  installPack: {
    method: 'POST',
    path: '/api/v1/packs/install',
    group,
    summary: 'Installs a pack from a bundle (form fields `bundle`, `signature`, `force`, `upgrade`, `inactive`)',
    permission: 'pack:install',
    rate: 'jobs-tenant',
    transaction: 'none',
    verb: 'pack.install',
    bytes: ['multipart/form-data'],
    bodyLimitBytes: FORM_BYTES,
    reply: PackRecord,
    faults: ['VAL_SCHEMA', 'PACK_LOCKED', 'SYS_UNAVAILABLE'],
  },
  verifyPack: {
    method: 'POST',
    path: '/api/v1/packs/{id}/verify',
    group,
    summary: 'Runs the policy simulations that the pack brings',
    permission: 'pack:verify',
    rate: 'jobs-tenant',
    transaction: 'none',
    verb: null,
    params: Id,
    reply: Type.Object({
      pack_id: Wide,
      results: Type.Array(Type.Object({ name: Wide, expected: Wide, got: Wide, reason: Wide, ok: Type.Boolean() })),
    }),
    faults: ['RES_NOT_FOUND', 'SYS_UNAVAILABLE'],
  },
  uninstallPack: {
    method: 'POST',
    path: '/api/v1/packs/{id}/uninstall',
    group,
    summary: 'Takes a pack’s overlays out; with `purge` also its workflows and schemas',
    permission: 'pack:uninstall',
    rate: 'jobs-tenant',
    transaction: 'none',
    verb: 'pack.uninstall',
    params: Id,
    body: Type.Object({ purge: Flag }),
    reply: PackRecord,
    faults: ['RES_NOT_FOUND', 'PACK_LOCKED'],
  },
})

/** jobs.md §13. */
const MarketplacePack = Type.Object({
  id: Wide,
  version: Wide,
  title: Type.Optional(Wide),
  description: Type.Optional(Wide),
  author: Type.Optional(Wide),
  homepage: Type.Optional(Wide),
  source: Type.Optional(Wide),
  image: Type.Optional(Wide),
  license: Type.Optional(Wide),
  url: Type.Optional(Wide),
  sha256: Type.Optional(Wide),
  catalog_id: Type.Optional(Wide),
  catalog_title: Type.Optional(Wide),
  capabilities: Type.Optional(Texts),
  requires: Type.Optional(Texts),
  risk_tags: Type.Optional(Texts),
  installed_version: Type.Optional(Wide),
  installed_status: Type.Optional(Wide),
  installed_at: Type.Optional(Wide),
})
export type MarketplacePack = Static<typeof MarketplacePack>

/** jobs.md §13 and §24.5. */
export const marketplace = area({
  listMarketplace: {
    method: 'GET',
    path: '/api/v1/marketplace/packs',
    group,
    summary: 'What the tenant’s catalogues offer, the highest version of each pack',
    permission: 'pack:read',
    rate: 'jobs-tenant',
    transaction: 'none',
    reply: Type.Object({
      catalogs: Type.Array(
        Type.Object({
          id: Wide,
          title: Type.Optional(Wide),
          url: Wide,
          enabled: Type.Boolean(),
          updated_at: Type.Optional(Wide),
          error: Type.Optional(Wide),
        }),
      ),
      items: Type.Array(MarketplacePack),
      fetched_at: Type.Optional(Timestamp),
      cached: Type.Optional(Type.Boolean()),
    }),
  },
  installFromMarketplace: {
    method: 'POST',
    path: '/api/v1/marketplace/install',
    group,
    summary: 'Downloads a pack that a catalogue lists, checks it and installs it',
    permission: 'pack:install',
    rate: 'jobs-tenant',
    transaction: 'none',
    verb: 'pack.install',
    body: Type.Object({
      catalog_id: Type.Optional(Text(128)),
      pack_id: Type.Optional(Text(128)),
      version: Type.Optional(Text(64)),
      url: Type.Optional(Text(2048)),
      sha256: Type.Optional(Text(64)),
      force: Flag,
      upgrade: Flag,
      inactive: Flag,
    }),
    reply: PackRecord,
    faults: ['VAL_SCHEMA', 'RES_NOT_FOUND', 'PACK_LOCKED', 'SYS_UNAVAILABLE'],
  },
})
