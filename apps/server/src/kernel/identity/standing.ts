import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock/index.ts'
import { type Db, sql, type Tx } from '../db/index.ts'
import { NOT_ADMIN, ownerStanding } from './authenticate.ts'
import { covers, type Principal, type PrincipalKind } from './principal.ts'
import { patternsOf, type RoleRules } from './roles.ts'

/** A demotion that this replica has not heard of is felt after this time (product.md: within a second). */
const CACHE_MS = 900

type Grants = readonly (readonly string[])[]

interface Row {
  tenantId: string
  id: string
  kind: PrincipalKind
  ownerId: string | null
  ownerKind: PrincipalKind | null
  keyRoles: string[] | null
  admin: boolean | null
  frozen: boolean
}

/** What a stored principal is now. */
export interface Today {
  /** With no more rights than are left: the very same one where nothing was taken away. */
  principal: Principal
  /** It, its owner or somebody it acts for is frozen. */
  frozen: boolean
}

interface Present {
  grants: Grants
  frozen: boolean
}

/** What stored principals may still do. */
export interface Standing {
  /**
   * A principal that was stored while it acted, with no more than it, its owner and those it acted for may do today. An ended session or key
   * takes nothing; groups count as the provider named them last. Up to a second old.
   */
  today(principal: Principal): Promise<Today>
  forget(): void
}

export function openStanding(db: Db, clock: Clock, rules: RoleRules): Standing {
  const cache = new LRUCache<string, { present: Promise<Present>; until: number }>({ max: 10_000 })

  function presentOf(principal: Principal): Promise<Present> {
    const { tenantId, id, onBehalfOf } = principal
    const key = [tenantId, id, ...onBehalfOf].join(' ')
    const now = clock.now()
    const known = cache.get(key)
    if (known && known.until > now) return known.present
    const present = db.auth((tx) => readPresent(tx, rules, principal))
    const entry = { present, until: now + CACHE_MS }
    cache.set(key, entry)
    present.catch(() => {
      if (cache.get(key) === entry) cache.delete(key)
    })
    return present
  }

  return {
    async today(principal) {
      if (principal.kind === 'system') return { principal, frozen: false }
      const { grants, frozen } = await presentOf(principal)
      const lost = grants.filter((set) => !principal.grants.some((stored) => covers(set, stored)))
      return {
        principal: lost.length === 0 ? principal : { ...principal, grants: [...principal.grants, ...lost] },
        frozen,
      }
    },
    forget: () => cache.clear(),
  }
}

/** What the principal, its owner and those for whom it acts hold now; each set must grant. Who is not known any more takes nothing away. */
async function readPresent(tx: Tx, rules: RoleRules, { tenantId, id, onBehalfOf }: Principal): Promise<Present> {
  // By tenant, as the key of the table goes. Whoever crossed into the tenant stands in another one.
  const rows = await tx.many<Row>(sql`
    select p.tenant_id as "tenantId", p.id, p.kind, p.owner_id as "ownerId", o.kind as "ownerKind", k.roles as "keyRoles", k.admin,
           (p.state = 'frozen' or coalesce(o.state, '') = 'frozen') as frozen
      from tenants t
      join principals p on p.tenant_id = t.id and p.id = any(${[id, ...onBehalfOf]}::uuid[])
      left join principals o on o.tenant_id = p.tenant_id and o.id = p.owner_id
      left join api_keys k on k.tenant_id = p.tenant_id and k.id = p.id`)
  const sets: (readonly string[])[] = []
  const asked = new Set<string>()
  for (const row of rows) {
    const holder = row.ownerId ?? row.id
    if (!asked.has(holder)) {
      asked.add(holder)
      const { roles } = await ownerStanding(tx, rules, row.tenantId, holder, row.ownerKind ?? row.kind)
      const held = await patternsOf(tx, row.tenantId, roles)
      sets.push(held)
      if (row.tenantId !== tenantId && !held.includes('tenant:cross')) sets.push([])
    }
    // Whom one acts for counts with all that its owner may, as when that began (delegation.ts).
    if (row.id !== id || row.keyRoles === null) continue
    if (row.keyRoles.length > 0) sets.push(await patternsOf(tx, row.tenantId, row.keyRoles))
    if (row.admin !== true) sets.push(NOT_ADMIN)
  }
  return { grants: sets, frozen: rows.some(({ frozen }) => frozen) }
}
