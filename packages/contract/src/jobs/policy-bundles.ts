import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Empty, Json, OneOf } from '../schemas.ts'
import { PolicyCheckBody, PolicyCheckResponse } from './policy.ts'
import { Text } from './shapes.ts'

const group = 'Policy'
const Wide = Type.String()
const common = { group, rate: 'jobs-tenant' } as const
/** jobs.md §10 calls it "admin": the roles that may write policy also read it here. */
const admin = { ...common, permission: 'policy:write' } as const
/** The handler waits until the change is in force, so it holds no transaction meanwhile, and writes the row of the trail itself. */
const change = { ...admin, transaction: 'none', verb: null } as const

const Bundle = Type.Object({
  id: Wide,
  content: Wide,
  enabled: Type.Boolean(),
  author: Type.Optional(Wide),
  message: Type.Optional(Wide),
  created_at: Type.Optional(Wide),
  updated_at: Type.Optional(Wide),
})

const Stored = Type.Object({
  content: Wide,
  enabled: Type.Boolean(),
  author: Type.Optional(Wide),
  message: Type.Optional(Wide),
  version: Type.Optional(Wide),
  sha256: Type.Optional(Wide),
  installed_at: Type.Optional(Wide),
  created_at: Type.Optional(Wide),
  updated_at: Type.Optional(Wide),
})
const StoredBundles = Type.Record(Type.String(), Stored)

const Summary = Type.Object({
  id: Wide,
  enabled: Type.Boolean(),
  source: OneOf(['core', 'secops', 'pack']),
  author: Type.Optional(Wide),
  message: Type.Optional(Wide),
  created_at: Type.Optional(Wide),
  updated_at: Type.Optional(Wide),
  version: Type.Optional(Wide),
  installed_at: Type.Optional(Wide),
  sha256: Type.Optional(Wide),
})

const snapshot = { id: Wide, created_at: Wide, note: Type.Optional(Wide) }
const Snapshot = Type.Object({ ...snapshot, bundles: StoredBundles })

/** `~` stands for `/`; `bundle_id` overrides the path (jobs.md §10). */
const bundle = {
  params: Type.Object({ id: Text(600) }),
  query: Type.Object({ bundle_id: Type.Optional(Text(600)) }),
} as const

const note = {
  author: Type.Optional(Text(256)),
  message: Type.Optional(Text(2000)),
  note: Type.Optional(Text(2000)),
}

/** The files of policy, their history and what is in force (jobs.md §10). What is required is told by the handlers, in the document's words. */
export const policyBundles = area({
  listPolicySnapshots: {
    ...common,
    method: 'GET',
    path: '/api/v1/policy/snapshots',
    summary: 'Ids of what was in force, newest first',
    permission: 'policy:read',
    transaction: 'none',
    reply: Type.Object({ snapshots: Type.Array(Wide) }),
  },
  listPolicyRules: {
    ...admin,
    method: 'GET',
    path: '/api/v1/policy/rules',
    summary: 'The rules of all enabled bundles as written, in the order of evaluation, with their origin',
    query: Type.Object({ include_disabled: Type.Optional(Text(16)) }),
    reply: Type.Object({
      items: Type.Array(Type.Record(Type.String(), Json)),
      errors: Type.Optional(Type.Array(Type.Object({ fragment_id: Wide, error: Wide }))),
    }),
    beyondDocument: true,
  },
  listPolicyBundles: {
    ...admin,
    method: 'GET',
    path: '/api/v1/policy/bundles',
    summary: 'All policy bundles; the ETag names the whole set, for If-Match of publish and rollback',
    reply: Type.Object({ bundles: StoredBundles, items: Type.Array(Summary), updated_at: Wide }),
    beyondDocument: true,
  },
  getPolicyBundle: {
    ...admin,
    ...bundle,
    method: 'GET',
    path: '/api/v1/policy/bundles/{id}',
    summary: 'One policy bundle; the ETag names what was read',
    reply: Bundle,
    faults: ['RES_NOT_FOUND'],
  },
  putPolicyBundle: {
    ...change,
    ...bundle,
    method: 'PUT',
    path: '/api/v1/policy/bundles/{id}',
    summary:
      'Create or replace a bundle under secops/. A new one is not in force before it is published, unless `enabled` says so; If-Match or If-None-Match refuse to overwrite what others changed',
    body: Type.Object({
      content: Type.Optional(Text(1_000_000)),
      enabled: Type.Optional(Type.Boolean()),
      author: Type.Optional(Text(256)),
      message: Type.Optional(Text(2000)),
    }),
    reply: Type.Object({ id: Wide, updated_at: Wide }),
    faults: ['RES_VERSION_CONFLICT', 'VAL_INVALID_RANGE'],
  },
  deletePolicyBundle: {
    ...change,
    ...bundle,
    method: 'DELETE',
    path: '/api/v1/policy/bundles/{id}',
    summary: 'Remove a bundle under secops/; its rules are out of force at once, and snapshots keep it',
    reply: Empty,
    status: 204,
    faults: ['RES_NOT_FOUND', 'RES_VERSION_CONFLICT'],
    beyondDocument: true,
  },
  simulatePolicyBundle: {
    ...admin,
    ...bundle,
    method: 'POST',
    path: '/api/v1/policy/bundles/{id}/simulate',
    summary: 'What the stored bundles would say of a job with a draft in place of this one',
    verb: null,
    bodyLimitBytes: 2_097_152,
    body: Type.Object({ request: Type.Optional(PolicyCheckBody), content: Type.Optional(Text(1_000_000)) }),
    reply: PolicyCheckResponse,
    faults: ['PERM_TENANT'],
  },
  listBundleSnapshots: {
    ...admin,
    method: 'GET',
    path: '/api/v1/policy/bundles/snapshots',
    summary: 'Copies of the whole set of bundles, newest first',
    reply: Type.Object({ items: Type.Array(Type.Object(snapshot)) }),
    beyondDocument: true,
  },
  captureBundleSnapshot: {
    ...admin,
    method: 'POST',
    path: '/api/v1/policy/bundles/snapshots',
    summary: 'Copy the whole set of bundles, to roll back to; the newest ten copies are kept',
    verb: null,
    body: Type.Object({ note: Type.Optional(Text(2000)) }),
    status: 200,
    reply: Snapshot,
    beyondDocument: true,
  },
  getBundleSnapshot: {
    ...admin,
    method: 'GET',
    path: '/api/v1/policy/bundles/snapshots/{id}',
    summary: 'One copy of the whole set of bundles',
    params: Type.Object({ id: Text(128) }),
    reply: Snapshot,
    faults: ['RES_NOT_FOUND'],
    beyondDocument: true,
  },
  publishPolicy: {
    ...change,
    method: 'POST',
    path: '/api/v1/policy/publish',
    summary: 'Enable bundles under secops/ (those named, or all), with a copy of the set before and after',
    body: Type.Object({ bundle_ids: Type.Optional(Type.Array(Text(600), { maxItems: 500 })), ...note }),
    reply: Type.Object({ snapshot_before: Wide, snapshot_after: Wide, published: Type.Array(Wide) }),
    faults: ['RES_VERSION_CONFLICT'],
  },
  rollbackPolicy: {
    ...change,
    method: 'POST',
    path: '/api/v1/policy/rollback',
    summary: 'Put the whole set of bundles back to a copy, fragments of packs included',
    body: Type.Object({ snapshot_id: Type.Optional(Text(128)), ...note }),
    reply: Type.Object({ snapshot_before: Wide, snapshot_after: Wide, rollback_to: Wide }),
    faults: ['RES_NOT_FOUND', 'RES_VERSION_CONFLICT'],
  },
  listPolicyAudit: {
    ...admin,
    method: 'GET',
    path: '/api/v1/policy/audit',
    summary: 'Publications and rollbacks, newest first; `include_edits` adds edits, copies and changes of settings',
    transaction: 'none',
    query: Type.Object({ include_edits: Type.Optional(Text(16)) }),
    reply: Type.Object({
      items: Type.Array(
        Type.Object({
          id: Wide,
          action: OneOf(['publish', 'rollback', 'update', 'capture', 'settings']),
          actor_id: Type.Optional(Wide),
          role: Type.Optional(Wide),
          bundle_ids: Type.Optional(Type.Array(Wide)),
          message: Type.Optional(Wide),
          snapshot_before: Type.Optional(Wide),
          snapshot_after: Type.Optional(Wide),
          created_at: Wide,
        }),
      ),
    }),
  },
})
