import type { Floor } from './endpoint.ts'

/** The built-in roles of decisions D3, as stored. Fleet's floors add the permissions of the endpoints that declare them. */
export const BUILT_IN_ROLES = [
  'viewer',
  'user',
  'developer',
  'operator',
  'release-manager',
  'approver',
  'security',
  'admin',
  'platform-admin',
  'system-agent',
  'worker',
] as const

export type BuiltInRole = (typeof BUILT_IN_ROLES)[number]

const READABLE = [
  'job',
  'workflow',
  'run',
  'policy',
  'pack',
  'schema',
  'config',
  'lock',
  'artifact',
  'worker',
  'trace',
  'environment',
  'target',
  'agent',
  'component',
  'release',
  'promotion',
  'deployment',
  'abrelease',
  'evidence',
  'plugin',
  'integration',
  'approval-policy',
  'dashboard',
  'extension',
]

const viewer = [...READABLE.map((resource) => `${resource}:read`), 'event:read', 'session:own']
const user = [...viewer, 'job:submit', 'workflow:execute', 'artifact:create']
const developer = [
  ...user,
  'component:*',
  'release:create',
  'release:update',
  'promotion:create@non-production',
  'promotion:cancel@non-production',
]
const operator = [
  ...user,
  'job:*',
  'approval:decide',
  'approval:read',
  'workflow:*',
  'lock:*',
  'worker:*',
  'dlq:*',
  'config:inspect',
  'target:*',
  'agent:*',
  'integration:execute',
  'memory:read',
  'principal:read',
]

const STATIC: Record<BuiltInRole, { patterns: readonly string[]; floor?: Floor }> = {
  viewer: { patterns: viewer, floor: 'VIEWER' },
  user: { patterns: user, floor: 'VIEWER' },
  developer: { patterns: developer, floor: 'DEVELOPER' },
  operator: { patterns: operator, floor: 'OPERATOR' },
  'release-manager': {
    patterns: [
      ...developer,
      'workflow:*',
      'promotion:create',
      'promotion:cancel',
      'deployment:rollback',
      'abrelease:*',
    ],
    floor: 'DEVELOPER',
  },
  approver: { patterns: [...viewer, 'promotion:approve', 'approval:decide', 'approval:read'], floor: 'VIEWER' },
  security: { patterns: [...viewer, 'approval-policy:*', 'evidence:*', 'audit:read'], floor: 'VIEWER' },
  admin: { patterns: ['*'], floor: 'ADMIN' },
  'platform-admin': { patterns: ['*', 'platform:admin', 'tenant:cross'], floor: 'ADMIN' },
  'system-agent': { patterns: ['agent:connect', 'agent:register', 'instance:register', 'log:ingest', 'metric:ingest'] },
  worker: { patterns: ['worker:connect', 'memory:read', 'artifact:create', 'artifact:read', 'job:read'] },
}

/** What `*` never includes: installation-wide rights are named one by one. */
export const RESERVED = ['platform:admin', 'tenant:cross'] as const

const FLOORS: readonly Floor[] = ['VIEWER', 'DEVELOPER', 'OPERATOR', 'ADMIN']

export const floorRank = (floor: Floor): number => FLOORS.indexOf(floor)

/** The documents' role names (fleet rank, jobs role, platform role) to the stored name. Unknown names pass through. */
export function storedRole(name: string): string {
  const known: Record<string, BuiltInRole> = {
    VIEWER: 'viewer',
    DEVELOPER: 'developer',
    OPERATOR: 'operator',
    ADMIN: 'admin',
    secops: 'operator',
    'symphony-admin': 'admin',
  }
  return known[name] ?? name
}

/** The patterns of a built-in role, fleet's floor permissions included. */
export function rolePatterns(
  role: BuiltInRole,
  floorPermissions: Readonly<Record<Floor, readonly string[]>>,
): string[] {
  const { patterns, floor } = STATIC[role]
  if (!floor) return [...patterns]
  const below = FLOORS.slice(0, floorRank(floor) + 1).flatMap((each) => floorPermissions[each])
  return [...new Set([...patterns, ...below])]
}

/** The highest fleet rank whose built-in role is among these (unification §3). */
export function rankOf(roles: readonly string[]): Floor {
  const ranks = roles.flatMap((role) => {
    const entry = (STATIC as Record<string, { floor?: Floor } | undefined>)[role]
    return entry?.floor ? [floorRank(entry.floor)] : []
  })
  return FLOORS[Math.max(0, ...ranks)] ?? 'VIEWER'
}

/** Whether one pattern of a role grants a permission. `suffix` limits a grant (`@non-production`); the caller checks the object. */
export function grants(pattern: string, permission: string): boolean {
  const [bare = ''] = pattern.split('@')
  if (bare === permission) return true
  // What a key made without the admin flag keeps: everything but administration (decisions D3).
  if (bare === '!admin') return !permission.endsWith(':admin')
  if ((RESERVED as readonly string[]).includes(permission)) return false
  if (bare === '*') return true
  const [resource, action] = bare.split(':')
  const [askedResource, askedAction] = permission.split(':')
  return resource === askedResource && (action === '*' || action === askedAction)
}
