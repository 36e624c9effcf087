import { Fault } from '@wheelhouse/contract'
import { accountKindOf, capabilityProblems, covers } from '../../kernel/bus/index.ts'
import {
  type ApiKey,
  beyondCeiling,
  can,
  type Principal,
  type SubjectPermissions,
  type SubjectRights,
} from '../../kernel/identity/index.ts'

export interface Capabilities {
  pub: SubjectPermissions
  sub: SubjectPermissions
}

const SIDES = ['pub', 'sub'] as const

const bad = (message: string): never => {
  throw new Fault('VAL_SCHEMA', { in: 'body' }, { message })
}

/** Reads both documented spellings, flat and under `capabilities`; both at once is a 400 (platform.md §3.2). `null`: no limit. */
export function askedCapabilities(body: {
  pub?: SubjectPermissions | null
  sub?: SubjectPermissions | null
  capabilities?: Partial<Capabilities>
}): Partial<Record<'pub' | 'sub', SubjectPermissions | null>> {
  const { pub, sub, capabilities } = body
  if (!capabilities) return { ...(pub === undefined ? {} : { pub }), ...(sub === undefined ? {} : { sub }) }
  if (pub !== undefined || sub !== undefined) bad('capabilities and pub or sub must not be given at once')
  return capabilities
}

/** Where the key's credentials stand (decisions D2, unification §1). Refuses a place that its subjects contradict, and a tenant key without the right. */
export function chosenAccount(
  principal: Principal,
  asked: Capabilities,
  named: 'own' | 'tenant' | undefined,
): 'own' | 'tenant' {
  const implied = accountKindOf(asked) === 'tenant' ? 'tenant' : named
  if (implied === 'tenant' && named === 'own')
    bad('account: subjects under job., worker. and sys. need the tenant account')
  if (implied !== 'tenant') return 'own'
  if (!can(principal, 'worker:connect')) throw new Fault('PERM_DENIED', { required: 'worker:connect' })
  return 'tenant'
}

/** Refuses subjects that are malformed or reserved (platform.md §8.2), and in the tenant account those that would hear everything. */
export function requireValidSubjects(asked: Capabilities, account: 'own' | 'tenant'): void {
  const [problem] = capabilityProblems(asked, account === 'tenant' ? 'tenant' : 'user')
  if (problem !== undefined) bad(problem)
  if (account === 'own') return
  for (const side of SIDES)
    for (const entry of asked[side].allow ?? [])
      if (/^[*>]/.test(entry)) bad(`${side} ${JSON.stringify(entry)}: beside workers the first token must be named`)
}

/**
 * The capabilities as they are stored, held to the creator's ceiling (platform.md §8.3): what is asked must be covered, the creator's
 * denials are copied, and where a limited key asks for no limit its own becomes the limit. Throws PERM_DENIED beyond the ceiling.
 */
export function withinCeiling(rights: SubjectRights, caller: ApiKey | undefined, asked: Capabilities): Capabilities {
  const side = (name: 'pub' | 'sub'): SubjectPermissions => {
    const { allow, deny = [] } = asked[name]
    const beyond = beyondCeiling(name, rights[name], allow ?? [])
    if (beyond.length > 0) throw new Fault('PERM_DENIED', { [name]: beyond })
    const limit = allow ?? caller?.[name].allow
    const denied = [...new Set([...deny, ...rights[name].deny])]
    return { ...(limit === undefined ? {} : { allow: limit }), ...(denied.length === 0 ? {} : { deny: denied }) }
  }
  return { pub: side('pub'), sub: side('sub') }
}

/** Whether the second gives less than the first somewhere, so that what was minted under the first must end. */
export const isNarrower = (before: Capabilities, after: Capabilities): boolean =>
  SIDES.some((side) => {
    const { allow: was, deny: wasDenied = [] } = before[side]
    const { allow: is, deny: isDenied = [] } = after[side]
    if (isDenied.some((entry) => !wasDenied.includes(entry))) return true
    if (is === undefined) return false
    return was === undefined || was.some((entry) => !is.some((wider) => wider === entry || covers(wider, entry)))
  })
