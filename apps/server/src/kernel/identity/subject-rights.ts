import { covers } from '../bus/index.ts'
import { sql, type Tx } from '../db/index.ts'

/** Subjects of one side of a role or key, as stored. Absent `allow`: a key then has what its owner has. */
export interface SubjectPermissions {
  allow?: string[]
  deny?: string[]
}

/** What somebody may really do on one side. */
export interface SubjectSide {
  allow: string[]
  deny: string[]
}

export interface SubjectRights {
  pub: SubjectSide
  sub: SubjectSide
  /** Prefixes of the extensions that are shown; `*` = all. */
  extensions: string[] | '*'
}

export type Side = 'pub' | 'sub'

/** Always inside the ceiling: they stay in the key's own account (platform.md §8.2). */
const INFRASTRUCTURE: Record<Side, readonly string[]> = {
  pub: ['_INBOX.>', '$SYS.REQ.USER.INFO', '$JS.>', '$KV.>', '$O.>', '$SRV.>'],
  sub: ['_INBOX.>', '$KV.>', '$O.>', '$SRV.>', 'cirata.symphony.events.>'],
}

/** What a key in the tenant's account may have at all without having asked for it by name. */
const BESIDE_WORKERS = ['job.>', 'worker.>', 'sys.>', 'cirata.>']

const ADMINS = new Set(['admin', 'platform-admin'])
const EVERYTHING: SubjectRights = {
  pub: { allow: ['>'], deny: [] },
  sub: { allow: ['>'], deny: [] },
  extensions: '*',
}

const subjectOf = (entry: string): string => entry.split(' ')[0] ?? ''
const unique = (list: readonly string[]): string[] => [...new Set(list)]

/** The union over these roles (platform.md §9.1): a deny of one role falls where another role's allow covers it. */
export async function rightsOfRoles(tx: Tx, tenantId: string, roles: readonly string[]): Promise<SubjectRights> {
  if (roles.some((role) => ADMINS.has(role))) return EVERYTHING
  const rows = await tx.many<{ pub: SubjectPermissions; sub: SubjectPermissions; extensions: string[] }>(sql`
    select pub, sub, extensions from roles where tenant_id = ${tenantId} and name = any(${[...roles]}) order by name`)
  const union = (side: Side): SubjectSide => ({
    allow: unique(rows.flatMap((row) => row[side].allow ?? [])),
    deny: unique(
      rows.flatMap((row) =>
        (row[side].deny ?? []).filter(
          (deny) =>
            !rows.some((other) => other !== row && (other[side].allow ?? []).some((allow) => covers(allow, deny))),
        ),
      ),
    ),
  })
  const extensions = unique(rows.flatMap((row) => row.extensions)).sort()
  return { pub: union('pub'), sub: union('sub'), extensions: extensions.includes('*') ? '*' : extensions }
}

/** What both give. */
export function meetRights(one: SubjectRights, other: SubjectRights): SubjectRights {
  const meet = (side: Side): SubjectSide => ({
    allow: meetPatterns(one[side].allow, other[side].allow),
    deny: unique([...one[side].deny, ...other[side].deny]),
  })
  const { extensions } = one
  return {
    pub: meet('pub'),
    sub: meet('sub'),
    extensions:
      extensions === '*'
        ? other.extensions
        : extensions.filter((prefix) => other.extensions === '*' || other.extensions.includes(prefix)),
  }
}

/** Rights narrowed by a key's own capabilities (platform.md §9.3). */
export function narrowRights(
  rights: SubjectRights,
  own: { pub: SubjectPermissions; sub: SubjectPermissions },
): SubjectRights {
  const narrow = (side: Side): SubjectSide => {
    const { allow, deny = [] } = own[side]
    const limit = [...rights[side].allow, ...INFRASTRUCTURE[side]]
    return {
      allow: allow === undefined ? rights[side].allow : meetPatterns(allow, limit),
      deny: unique([...rights[side].deny, ...deny]),
    }
  }
  return { pub: narrow('pub'), sub: narrow('sub'), extensions: rights.extensions }
}

/** What of these rights a credential may carry in the account where it is minted (decisions D2). */
export function rightsInAccount(
  rights: SubjectRights,
  own: { pub: SubjectPermissions; sub: SubjectPermissions },
  account: 'own' | 'tenant',
): { pub: SubjectSide; sub: SubjectSide } {
  const fit = (side: Side): SubjectSide => {
    const { allow, deny } = rights[side]
    const fitting =
      account === 'own'
        ? allow.filter((entry) => !/^(job|worker|sys)\./.test(entry))
        : own[side].allow === undefined
          ? meetPatterns(allow, BESIDE_WORKERS)
          : allow
    return { allow: fitting, deny }
  }
  return { pub: fit('pub'), sub: fit('sub') }
}

/** The asked patterns that the creator does not hold (platform.md §8.3); empty = inside the ceiling. */
export function beyondCeiling(side: Side, ceiling: SubjectSide, asked: readonly string[]): string[] {
  const limit = [...ceiling.allow, ...INFRASTRUCTURE[side]].map(subjectOf)
  return asked.filter((entry) => !limit.some((allow) => covers(allow, subjectOf(entry))))
}

/** The subjects that match a pattern of both lists, as patterns. */
export function meetPatterns(one: readonly string[], other: readonly string[]): string[] {
  const met = one.flatMap((left) => other.flatMap((right) => meetPattern(left, right) ?? []))
  return unique(met).filter((entry, _, all) => !all.some((wider) => wider !== entry && swallows(wider, entry)))
}

/** Whether the wider entry makes the other one superfluous. */
const swallows = (wider: string, entry: string): boolean =>
  !wider.includes(' ') && covers(wider, subjectOf(entry)) && !(covers(subjectOf(entry), wider) && wider > entry)

function meetPattern(left: string, right: string): string | undefined {
  const [a = '', queueA] = left.split(' ')
  const [b = '', queueB] = right.split(' ')
  const subject = meetSubject(a.split('.'), b.split('.'))
  if (subject === undefined) return undefined
  const queue =
    queueA === undefined || queueB === undefined
      ? (queueA ?? queueB)
      : meetSubject(queueA.split('.'), queueB.split('.'))
  if (queueA !== undefined && queueB !== undefined && queue === undefined) return undefined
  return queue === undefined ? subject : `${subject} ${queue}`
}

/** Token by token the narrower one; of two patterns there is always one pattern that both hold. */
function meetSubject(a: readonly string[], b: readonly string[]): string | undefined {
  const tokens: string[] = []
  for (let index = 0; ; index++) {
    const left = a[index]
    const right = b[index]
    if (left === undefined || right === undefined) return left === right ? tokens.join('.') : undefined
    if (left === '>') return [...tokens, ...b.slice(index)].join('.')
    if (right === '>') return [...tokens, ...a.slice(index)].join('.')
    if (left !== '*' && right !== '*' && left !== right) return undefined
    tokens.push(left === '*' ? right : left)
  }
}
