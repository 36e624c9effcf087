import {
  BUILT_IN_ROLES,
  type BuiltInRole,
  type Endpoint,
  type Permission,
  rolePatterns,
} from '../packages/contract/src/index.ts'
import { declared } from '../packages/contract/src/contract.ts'

/** One question: may this caller do this? */
export interface Cell {
  kind: string
  ask(): Promise<readonly string[]>
}

/**
 * Who may do what, worked out again from the roles' patterns and the declarations, so that the server is not judged by its own code.
 * The words are those of decisions D3: `*` is everything but what is reserved for the installation.
 */
const INSTALLATION = new Set(['platform:admin', 'tenant:cross'])

const permits = (pattern: string, permission: string): boolean => {
  // A suffix limits the grant to some objects; whether that fits is asked where the object is known.
  const plain = pattern.replace(/@.*$/, '')
  if (plain === permission) return true
  if (INSTALLATION.has(permission)) return false
  return plain === '*' || (plain.endsWith(':*') && permission.startsWith(plain.slice(0, -1)))
}

/** Fleet's documented floors: an endpoint that names one gives its permission to every role of that rank and above. */
const floors = (() => {
  const found: Record<NonNullable<Endpoint['floor']>, string[]> = { VIEWER: [], DEVELOPER: [], OPERATOR: [], ADMIN: [] }
  for (const { endpoint } of declared)
    if (endpoint.floor && endpoint.permission.includes(':')) found[endpoint.floor].push(endpoint.permission)
  return found
})()

const PATTERNS = new Map<BuiltInRole, readonly string[]>(
  BUILT_IN_ROLES.map((role) => [role, rolePatterns(role, floors)]),
)

const roleHas = (role: BuiltInRole, permission: string): boolean =>
  (PATTERNS.get(role) ?? []).some((pattern) => permits(pattern, permission))

/** The person to whom the keys of a test's tenant belong holds these. */
const OWNER: readonly BuiltInRole[] = ['admin', 'platform-admin', 'system-agent', 'worker']

/** Keys made for administration; any other key is without `…:admin`, whatever its role says. */
const ADMIN_KEYS: readonly BuiltInRole[] = ['admin', 'platform-admin']

/** Whether the key of this role may: what the role and its owner both hold, without administration where the key was not made for it. */
export function mayKey(role: BuiltInRole, permission: Permission): boolean {
  if (permission === 'public' || permission === 'authenticated') return true
  if (!ADMIN_KEYS.includes(role) && permission.endsWith(':admin') && permission !== 'platform:admin') return false
  return roleHas(role, permission) && OWNER.some((each) => roleHas(each, permission))
}

/** A NATS subject under a pattern: `*` is one token, `>` is the rest. */
export function subjectFits(pattern: string, subject: string): boolean {
  const wanted = pattern.split('.')
  const given = subject.split('.')
  for (const [i, token] of wanted.entries()) {
    if (token === '>') return given.length > i
    if (given[i] === undefined || (token !== '*' && token !== given[i])) return false
  }
  return wanted.length === given.length
}
