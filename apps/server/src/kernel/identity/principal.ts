import { grants, RESERVED, rankOf, type Floor } from '@wheelhouse/contract'

export type PrincipalKind = 'user' | 'key' | 'agent' | 'extension' | 'worker' | 'service' | 'system'

/** How the caller proved who it is. */
export type CredentialKind = 'key' | 'session' | 'cookie' | 'token' | 'ticket' | 'bus' | 'internal'

/** Who acts. Everything that reaches the kernel does so as one of these, with its tenant fixed by its credential. */
export interface Principal {
  tenantId: string
  tenantSlug: string
  id: string
  kind: PrincipalKind
  subject: string
  name: string
  email?: string
  roles: readonly string[]
  groups: readonly string[]
  /** Each set must grant: a key's own patterns and its owner's (decisions D3). */
  grants: readonly (readonly string[])[]
  /** The person or service that the principal belongs to, and whom it acts for, nearest first. */
  ownerId?: string
  onBehalfOf: readonly string[]
  credential: CredentialKind
  keyId?: string
  sessionId?: string
  /** Release: the environments that the token is confined to; absent means all. */
  envScopes?: readonly string[]
  /** When the credential ends, for sockets that outlive one request. */
  expiresAt?: number
}

/** What an event or an audit row says of who did it. */
export interface Actor {
  kind: PrincipalKind
  id: string
  name: string
  onBehalfOf: readonly string[]
}

export const actorOf = ({ kind, id, name, onBehalfOf }: Principal): Actor => ({ kind, id, name, onBehalfOf })

/** What an action is done to, as far as rights depend on it. */
export interface AccessObject {
  environment?: { id: string; isProduction: boolean }
}

/** The one question of authorization: may this principal do this (to this object)? (decisions D3) */
export function can(principal: Principal, permission: string, object: AccessObject = {}): boolean {
  if (permission === 'public' || permission === 'authenticated') return true
  const { environment } = object
  if (
    environment &&
    principal.envScopes &&
    !principal.envScopes.includes('*') &&
    !principal.envScopes.includes(environment.id)
  ) {
    return false
  }
  return principal.grants.every((patterns) =>
    patterns.some(
      (pattern) =>
        grants(pattern, permission) && (environment?.isProduction !== true || !pattern.endsWith('@non-production')),
    ),
  )
}

/** Whether the principal holds all of these patterns itself: nobody gives, or changes, what goes beyond that. */
export const holds = (principal: Principal, patterns: readonly string[]): boolean =>
  patterns.every((pattern) => principal.grants.every((set) => set.some((own) => coversPattern(own, pattern))))

/** What people know it by: its name, or its subject where it has none. */
export const calledName = ({ name, subject }: Principal): string => (name === '' ? subject : name)

/** Whether a set of patterns grants all that another one does. */
export const covers = (set: readonly string[], other: readonly string[]): boolean =>
  other.every((pattern) => set.some((own) => coversPattern(own, pattern)))

function coversPattern(own: string, asked: string): boolean {
  const [bareOwn = '', ownLimit] = own.split('@')
  const [bare = '', limit] = asked.split('@')
  if (ownLimit !== undefined && ownLimit !== limit) return false
  if (bareOwn === bare) return true
  if (bareOwn === '!admin') return bare !== '*' && !bare.endsWith(':*') && !bare.endsWith(':admin')
  if ((RESERVED as readonly string[]).includes(bare)) return false
  const [resource] = bare.split(':')
  return bareOwn === '*' || bareOwn === `${resource}:*`
}

/** The highest fleet rank that the principal's roles hold. */
export const floorOf = (principal: Principal): Floor => rankOf(principal.roles)

/** The kernel itself, for work that no person asked for: sweeps, schedules, telemetry. */
export function systemPrincipal(tenant: { id: string; slug: string }): Principal {
  return {
    tenantId: tenant.id,
    tenantSlug: tenant.slug,
    id: '00000000-0000-7000-8000-000000000000',
    kind: 'system',
    subject: 'system',
    name: 'Wheelhouse',
    roles: ['admin'],
    groups: [],
    grants: [['*']],
    onBehalfOf: [],
    credential: 'internal',
  }
}
