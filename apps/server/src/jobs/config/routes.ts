import { Fault } from '@wheelhouse/contract'
import type { ConfigScope } from '@wheelhouse/contract/jobs/config'
import { jobs } from '@wheelhouse/contract/jobs/index'
import { iso } from '../../kernel/clock/index.ts'
import type { Tx } from '../../kernel/db/index.ts'
import { serve } from '../../kernel/http/index.ts'
import { can, type Principal } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { recordPolicyChange } from '../../kernel/policy/index.ts'
import { findDocument, scopeOf, writeDocument } from '../../kernel/tenant-config/index.ts'
import { CATALOGS_ID, readCatalogs } from '../packs/catalogs.ts'
import { REGISTRY_ID, writeRegistry } from '../packs/registry.ts'
import { readTrust, TRUST_ID } from '../packs/trust.ts'
import { requireOwnTenant } from '../tenants.ts'
import { POLICY_ID, readPolicyDocument, writePolicyDocument } from './policy-document.ts'

interface Place {
  scope: ConfigScope
  /** As it is stored. */
  id: string
  /** As it is shown. */
  shown: string
}

const refuse = (message: string): never => {
  throw new Fault('VAL_SCHEMA', {}, { message })
}

/** jobs.md §11: `system` means `default`, `org` the caller's tenant. */
function placeOf(principal: Principal, scopeName: string, scopeId: string): Place {
  const scope = scopeOf(scopeName)
  if (scope === 'org') {
    if (scopeId !== 'default') requireOwnTenant(principal, scopeId)
    return { scope, id: principal.tenantId, shown: principal.tenantSlug }
  }
  const id = scopeId === '' && scope === 'system' ? 'default' : scopeId
  return id === '' ? refuse('scope_id required for non-system scope') : { scope, id, shown: id }
}

function require(principal: Principal, permission: string): void {
  if (!can(principal, permission)) throw new Fault('PERM_DENIED', { required: permission, roles: principal.roles })
}

/** Documents that are doors to something of its own ask for its right too. */
const RIGHTS: ReadonlyMap<string, string> = new Map([
  [POLICY_ID, 'policy:write'],
  [REGISTRY_ID, 'pack:install'],
  [CATALOGS_ID, 'pack:install'],
  [TRUST_ID, 'pack:install'],
])

/** What policy keeps itself, and shows at its own endpoints. */
const KEPT_BY_POLICY = new Set(['policy_snapshots', 'policy_audit'])

/** `If-Match: 3`, also quoted or weak; 0 means that there must be none yet. */
function expectedOf(ifMatch: string | undefined): number | undefined {
  if (ifMatch === undefined || ifMatch.trim() === '*') return undefined
  const found = /^(?:W\/)?"?(\d{1,15})"?$/.exec(ifMatch.trim())
  return found ? Number(found[1]) : refuse('If-Match must be the revision of the document that is to be replaced')
}

async function find(tx: Tx, { scope, id, shown }: Place) {
  if (scope === 'system' && id === POLICY_ID) return readPolicyDocument(tx)
  const document = await findDocument(tx, scope, id)
  return (
    document && {
      scope,
      scope_id: shown,
      data: { ...document.data },
      revision: document.revision,
      updated_at: iso(document.updatedAt),
      ...(Object.keys(document.meta).length === 0 ? {} : { meta: { ...document.meta } }),
    }
  )
}

/** jobs.md §11 and §22. */
export const routes = ({ db, policy, tenantConfig }: Kernel) =>
  serve('jobs', jobs.config, {
    async getConfig({ tx, principal, query, reply }) {
      const place = placeOf(principal, query.scope ?? 'system', query.scope_id ?? '')
      if (place.scope === 'system') require(principal, 'config:inspect')
      const document = await find(tx, place)
      if (!document) throw new Fault('RES_NOT_FOUND', {}, { message: 'config not found' })
      reply.header('ETag', `"${document.revision}"`)
      return document
    },

    async putConfig({ principal, body, request, now, audit }) {
      const { scope = '', scope_id = '', meta } = body
      const data = body.data ?? refuse('data required')
      if (scope === '') refuse('scope required')
      const place = placeOf(principal, scope, scope_id)
      const right = place.scope === 'system' ? RIGHTS.get(place.id) : undefined
      if (right !== undefined) require(principal, right)
      if (place.scope === 'system' && KEPT_BY_POLICY.has(place.id))
        refuse(`system/${place.id} is kept by policy; see /api/v1/policy/bundles/snapshots and /api/v1/policy/audit`)
      const write = { data, meta, expected: expectedOf(request.header('if-match')) }
      const isPolicy = place.scope === 'system' && place.id === POLICY_ID
      await db.tenant(principal.tenantId, async (tx) => {
        if (isPolicy) {
          const bundleIds = await writePolicyDocument(tx, now, write)
          const change = { action: 'update', resourceId: `system/${POLICY_ID}`, bundleIds } as const
          await recordPolicyChange(tx, { principal, now, request }, change)
          return
        }
        const { revision } = await writePlain(tx, now, place, write)
        audit({ after: { revision, keys: Object.keys(data) } })
      })
      audit({ resourceId: `${place.scope}/${place.shown}` })
      if (isPolicy) await policy.changed(principal.tenantId)
      else tenantConfig.changed(principal.tenantId)
      return {}
    },

    async effectiveConfig({ principal, query }) {
      const { org_id, team_id, workflow_id, step_id } = query
      requireOwnTenant(principal, org_id)
      const place = { teamId: team_id, workflowId: workflow_id, stepId: step_id }
      const { version, hash, data } = await tenantConfig.effective(principal.tenantId, place)
      return { version, hash, data: { ...data } }
    },
  })

/** Registries are checked by those who read them; all else by its keys. */
function writePlain(
  tx: Tx,
  now: number,
  { scope, id }: Place,
  write: Omit<Parameters<typeof writeDocument>[2], 'scope' | 'scopeId'>,
) {
  if (scope === 'system' && id === REGISTRY_ID) return writeRegistry(tx, now, write)
  if (scope === 'system' && id === CATALOGS_ID) readCatalogs(write.data)
  if (scope === 'system' && id === TRUST_ID) readTrust(write.data)
  return writeDocument(tx, now, { ...write, scope, scopeId: id })
}
