import type { AuthUser as AuthUserSchema } from '@wheelhouse/contract/jobs/shapes'
import type { Static } from 'typebox'
import { iso } from '../../kernel/clock/index.ts'
import type { User } from '../../kernel/identity/index.ts'

export type AuthUser = Static<typeof AuthUserSchema>

/** The document's clients look at the first role alone, so the one that allows most comes first. */
const WEIGHT = ['admin', 'operator', 'platform-admin', 'release-manager', 'developer', 'user']

export const weightiestFirst = (roles: readonly string[]): string[] => {
  const weight = (role: string): number => (WEIGHT.includes(role) ? WEIGHT.indexOf(role) : WEIGHT.length)
  return roles.toSorted((a, b) => weight(a) - weight(b))
}

/** A user as jobs.md §2 shows one; `roles` where groups give more than the user's own. */
export const shownUser = (user: User, tenant: string, roles: readonly string[] = user.roles): AuthUser => ({
  id: user.id,
  username: user.username,
  ...(user.email === null ? {} : { email: user.email }),
  ...(user.displayName === null || user.displayName === '' ? {} : { display_name: user.displayName }),
  tenant,
  roles: weightiestFirst(roles),
  ...(user.disabled ? { disabled: true } : {}),
  source: 'user',
  created_at: iso(user.createdAt),
  updated_at: iso(user.updatedAt),
  ...(user.lastLoginAt === null ? {} : { last_login_at: iso(user.lastLoginAt) }),
})
