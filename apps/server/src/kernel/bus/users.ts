import { Fault } from '@wheelhouse/contract'
import type { AccountKind } from './account-claims.ts'
import { signJwt, type Permission, type UserClaims } from './jwt.ts'
import { newNkey, type Nkey } from './nkeys.ts'
import { overlaps, subjectProblem, subscriptionProblem, token } from './subjects.ts'

/** Subject rights as an API key holds them (platform.md §8.1). */
export interface Capabilities {
  pub: Permission
  sub: Permission
}

export interface UserGrant extends Capabilities {
  keyId: string
  kind: AccountKind
  /** Whether the key's owner may cancel jobs (`job:cancel`); a worker key otherwise never publishes a cancel. */
  mayCancel: boolean
  /** Seconds since 1970. Re-minting after a revocation needs at least the revocation's second + 1. */
  issuedAt: number
  /** Seconds since 1970; the server ends the connection then. Absent = no end. */
  expires?: number
  /** The key's nkey, stable across re-minting; absent = a new one. */
  user?: Nkey
}

export interface UserCredential {
  jwt: string
  seed: string
  publicKey: string
  /** Public key of the account. */
  account: string
  /** What the client must set as its inbox prefix; undefined = the default `_INBOX`. */
  inboxPrefix?: string
}

/** platform.md §8.2: safe, because they stay in the user's own account. */
const AUTOMATIC = {
  pub: ['_INBOX.>', '$SYS.REQ.USER.INFO', '$JS.>', '$KV.>', '$O.>', '$SRV.>'],
  sub: ['_INBOX.>', '$KV.>', '$O.>', '$SRV.>', 'cirata.symphony.events.>'],
} as const

/**
 * Beside workers no key may touch JetStream: a republishing stream, a push consumer or a pull with a chosen reply subject
 * would put jobs before workers past policy (decisions D2). `$SYS.REQ.ACCOUNT` tells of the others' connections.
 */
const NEVER_BESIDE_WORKERS = ['$JS.>', '$KV.>', '$O.>', '$SYS.REQ.ACCOUNT.>'] as const

/** Why asked capabilities cannot be granted, one sentence each; empty = fine (platform.md §8.2, decisions D2). */
export function capabilityProblems(asked: Capabilities, kind: AccountKind = accountKindOf(asked)): string[] {
  const problems: string[] = []
  const tenant = kind === 'tenant'
  for (const [side, check] of [
    ['pub', subjectProblem],
    ['sub', subscriptionProblem],
  ] as const) {
    for (const entry of [...(asked[side].allow ?? []), ...(asked[side].deny ?? [])]) {
      const problem = check(entry)
      if (problem !== undefined) problems.push(`${side} ${JSON.stringify(entry)}: ${problem}`)
    }
    for (const entry of asked[side].allow ?? []) {
      const [first = ''] = entry.split(/[. ]/)
      if (/^_(WH|R_|GR_|INBOX_)/.test(first)) problems.push(`${side} ${JSON.stringify(entry)}: the subject is reserved`)
      else if (
        tenant &&
        first.startsWith('$') &&
        NEVER_BESIDE_WORKERS.some((never) => overlaps(never, subjectOf(entry)))
      )
        problems.push(`${side} ${JSON.stringify(entry)}: not in the tenant account, where workers stand`)
    }
  }
  return problems
}

/** A key that names `job.`, `worker.` or `sys.` subjects stands in the tenant's account, any other in its owner's (decisions D2). */
export function accountKindOf(asked: Capabilities): AccountKind {
  const entries = [...(asked.pub.allow ?? []), ...(asked.sub.allow ?? [])]
  return entries.some((entry) => /^(job|worker|sys)\./.test(entry)) ? 'tenant' : 'user'
}

/**
 * Mints the NATS credential of an API key in an account. Throws VAL_PATTERN when the capabilities cannot be granted in it.
 *
 * No `resp` permission is given, although platform.md §8.4 infers one: the server lets a dynamic reply right pass the deny list,
 * and a client earns it by answering a message that it sent to itself, so any key could publish anything, jobs included. Answers
 * go to `_INBOX.>` and `_WH.reply.>`, which keys hold.
 */
export function mintUser(account: Nkey, grant: UserGrant): UserCredential {
  const problems = capabilityProblems(grant, grant.kind)
  if (grant.kind === 'user' && accountKindOf(grant) === 'tenant')
    problems.push('job., worker. and sys. subjects need a key of the tenant account')
  if (problems.length > 0) throw new Fault('VAL_PATTERN', { problems }, { message: problems.join('; ') })
  const user = grant.user ?? newNkey('user')
  const { pub, sub, inboxPrefix } = grant.kind === 'tenant' ? besideWorkers(grant) : inOwnAccount(grant)
  const nats: UserClaims = { type: 'user', version: 2, pub, sub, subs: -1, data: -1, payload: -1 }
  const jwt = signJwt(account, {
    subject: user.publicKey,
    name: grant.keyId,
    issuedAt: grant.issuedAt,
    ...(grant.expires === undefined ? {} : { expires: grant.expires }),
    nats,
  })
  return {
    jwt,
    seed: user.seed,
    publicKey: user.publicKey,
    account: account.publicKey,
    ...(inboxPrefix ? { inboxPrefix } : {}),
  }
}

/** Exactly what was asked, an inbox of the key's own, and the platform's reply subjects. */
function besideWorkers(grant: UserGrant) {
  const inboxPrefix = `_INBOX_${token(grant.keyId)}`
  const { pub, sub } = grant
  const dispatch = ['job.>', 'worker.>', ...(grant.mayCancel ? [] : ['sys.job.cancel'])]
  return {
    inboxPrefix,
    pub: rights([...(pub.allow ?? []), '_WH.reply.>'], [...(pub.deny ?? []), ...dispatch, ...NEVER_BESIDE_WORKERS]),
    sub: rights([...(sub.allow ?? []), `${inboxPrefix}.>`], [...(sub.deny ?? []), ...NEVER_BESIDE_WORKERS]),
  }
}

function inOwnAccount({ pub, sub }: UserGrant) {
  return {
    inboxPrefix: undefined,
    pub: rights([...(pub.allow ?? []), ...AUTOMATIC.pub, '_WH.reply.>'], pub.deny ?? []),
    sub: rights([...(sub.allow ?? []), ...AUTOMATIC.sub], sub.deny ?? []),
  }
}

/** An empty allow list would mean "everything" to the server; both callers always add to theirs. */
function rights(allow: readonly string[], deny: readonly string[]): Permission {
  const unique = (list: readonly string[]) => [...new Set(list)]
  return deny.length > 0 ? { allow: unique(allow), deny: unique(deny) } : { allow: unique(allow) }
}

const subjectOf = (entry: string): string => entry.split(' ')[0] ?? ''
