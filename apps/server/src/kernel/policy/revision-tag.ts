import { Fault } from '@wheelhouse/contract'

/** The entity tag of a tenant's whole set of policy documents. */
export const revisionTag = (revision: number): string => `"r${revision}"`

/** The refusal of whoever writes over a revision that they have not read. */
export const policyConflict = (): Fault =>
  new Fault('RES_VERSION_CONFLICT', {}, { message: 'policy was changed by someone else; read it again' })

/** The revision that `If-Match` names; undefined when the writer does not mind. Throws RES_VERSION_CONFLICT for any other tag. */
export function expectedRevision(ifMatch: string | undefined): number | undefined {
  if (ifMatch === undefined || ifMatch.trim() === '*') return undefined
  const found = /^(?:W\/)?"r(\d{1,15})"$/.exec(ifMatch.trim())
  if (found) return Number(found[1])
  throw policyConflict()
}
