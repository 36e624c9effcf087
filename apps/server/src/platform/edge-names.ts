import { can, type Principal, type SubjectRights } from '../kernel/identity/index.ts'

/** What this surface calls the role `admin` (decisions D3). */
const ADMIN = 'symphony-admin'

/** The stored name of a role as this surface names it; undefined for one that it does not know by that name. */
export const storedName = (name: string): string | undefined =>
  name === ADMIN ? 'admin' : name === 'admin' ? undefined : name

/** A stored role as this surface names it. */
export const edgeName = (stored: string): string => (stored === 'admin' ? ADMIN : stored)

export const edgeNames = (stored: readonly string[]): string[] => [...new Set(stored.map(edgeName))].sort()

/** platform.md §3.1: who sees the Administration menu and may call `/admin`. */
export const isAdmin = (principal: Principal): boolean => can(principal, 'role:admin')

/** Rights as the surface shows them: an empty deny list is left out. */
export function shownRights({ pub, sub, extensions }: SubjectRights) {
  const side = ({ allow, deny }: SubjectRights['pub']) => ({ allow, ...(deny.length === 0 ? {} : { deny }) })
  return { permissions: { pub: side(pub), sub: side(sub) }, extensions }
}
