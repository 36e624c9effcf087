import { Fault, storedRole } from '@wheelhouse/contract'
import { type Clock, ids, type Instant } from '../clock/index.ts'
import { at, type Db, isUniqueViolation, jsonb, sql, type Tx } from '../db/index.ts'
import { publish } from '../events/index.ts'
import { actorOf, can, type Principal } from '../identity/index.ts'

export type ApprovalKind = 'job' | 'promotion' | 'step' | 'admin'
export type ApprovalState = 'open' | 'approved' | 'rejected' | 'expired' | 'withdrawn'

export interface Ask {
  kind: ApprovalKind
  /** What it is for: a job's, promotion's or step's id. */
  refId: string
  /** Of exactly what would be done; the votes bind it. */
  hash: string
  /** Id of the policy that asked, and digest of its rule; '' where no policy did. */
  snapshot?: string
  ruleId?: string
  ruleDigest?: string
  reason?: string
  /** How many people must agree. */
  required: number
  /** Stored or documented names of roles that may decide; empty = whoever has `approval:decide`. */
  roles?: readonly string[]
  /** Whether the one who asked may agree. Null: as the tenant's setting `approvals.allowSelf` says, by default no (decisions D5). */
  allowSelf: boolean | null
  expiresAt: Instant | null
  /** What whoever decides must see. Secrets are masked by the caller. */
  show: Readonly<Record<string, unknown>>
}

export interface Approval {
  id: string
  kind: ApprovalKind
  refId: string
  hash: string
  snapshot: string
  ruleId: string
  ruleDigest: string
  reason: string
  required: number
  stage: number
  roles: string[]
  allowSelf: boolean
  requestedBy: string
  /** The person behind `requestedBy`. */
  requestedFor: string
  /** Everyone in whose name it was asked: the caller, whom it belongs to, and for whom it acted. */
  requestedChain: string[]
  requestedName: string
  show: Record<string, unknown>
  state: ApprovalState
  createdAt: Instant
  expiresAt: Instant | null
  decidedAt: Instant | null
}

export interface Vote {
  vote: 'approve' | 'reject'
  reason?: string
  note?: string
}

export interface CastVote {
  personId: string
  principalId: string
  principalName: string
  role: string
  vote: 'approve' | 'reject'
  reason: string
  note: string
  at: Instant
}

/** How an approval ended; `by` is who gave the last vote, absent when time or a withdrawal ended it. */
export interface Decided {
  outcome: 'approved' | 'rejected' | 'expired' | 'withdrawn'
  by?: Principal
  reason: string
  note: string
}

export type OnDecided = (tx: Tx, approval: Approval, decided: Decided) => Promise<void>

/** The one inbox of everything that waits for people (decisions D5). */
export interface Approvals {
  /** What happens when an approval of this kind is decided; runs in the deciding transaction. One a kind, at start. */
  onDecided(kind: ApprovalKind, handler: OnDecided): void
  /** Asks within the caller's transaction. Only one may be open for the same thing. */
  ask(tx: Tx, requester: Principal, ask: Ask): Promise<Approval>
  /** The open approval for something, locked for this transaction. */
  open(tx: Tx, kind: ApprovalKind, refId: string): Promise<Approval | undefined>
  /** The newest approval for something, whatever its state, with its votes. */
  latest(tx: Tx, kind: ApprovalKind, refId: string): Promise<(Approval & { votes: CastVote[] }) | undefined>
  /** Votes. Throws PERM_DENIED for those who may not decide (also who asked), RES_CONFLICT when it is no longer open. */
  decide(tx: Tx, principal: Principal, approval: Approval, vote: Vote): Promise<Approval>
  /** New terms for an open approval because policy changed: the votes so far no longer count. */
  rebind(
    tx: Tx,
    approval: Approval,
    terms: Pick<Ask, 'snapshot' | 'ruleId' | 'ruleDigest' | 'reason' | 'required' | 'roles' | 'allowSelf'>,
  ): Promise<Approval>
  /** Nobody needs it any more; `onDecided` hears of it only when asked to. */
  withdraw(tx: Tx, kind: ApprovalKind, refId: string): Promise<void>
  /** Ends what is over its time, over all tenants. Returns how many. For the sweep. */
  expire(): Promise<number>
}

const columns = sql`id, kind, ref_id as "refId", hash, snapshot, rule_id as "ruleId", rule_digest as "ruleDigest", reason, required, stage, roles,
  allow_self as "allowSelf", requested_by as "requestedBy", requested_for as "requestedFor", requested_chain as "requestedChain", requested_name as "requestedName", show, state,
  created_at as "createdAt", expires_at as "expiresAt", decided_at as "decidedAt"`

/** The person (or service) that a principal stands for: all keys of one owner are one. */
export const personOf = (principal: Principal): string => principal.ownerId ?? principal.id

/** Everyone whose will an act of this principal may be: whoever asks a service to agree has agreed. */
const standingFor = ({ id, ownerId, onBehalfOf }: Principal): string[] => [
  ...new Set([id, ...(ownerId === undefined ? [] : [ownerId]), ...onBehalfOf]),
]

export function openApprovals({ db, clock }: { db: Db; clock: Clock }): Approvals {
  const handlers = new Map<ApprovalKind, OnDecided>()

  async function selfAllowed(tx: Tx, asked: boolean | null): Promise<boolean> {
    if (asked !== null) return asked
    const row = await tx.maybe<{ allowed: boolean | null }>(
      sql`select (settings #>> '{approvals,allowSelf}')::boolean as allowed from tenants where id = ${tx.tenantId}`,
    )
    return row?.allowed ?? false
  }

  async function close(tx: Tx, approval: Approval, decided: Decided): Promise<Approval> {
    const now = clock.now()
    await tx.run(
      sql`update approvals set state = ${decided.outcome}, decided_at = ${at(now)} where id = ${approval.id}`,
    )
    const ended: Approval = { ...approval, state: decided.outcome, decidedAt: now }
    await publish(tx, {
      type: `approval.${decided.outcome}`,
      resource: { kind: 'approval', id: approval.id },
      actor: decided.by ? actorOf(decided.by) : SYSTEM,
      data: { kind: approval.kind, refId: approval.refId, reason: decided.reason, note: decided.note },
      at: now,
    })
    await handlers.get(approval.kind)?.(tx, ended, decided)
    return ended
  }

  return {
    onDecided(kind, handler) {
      if (handlers.has(kind)) throw new Error(`Approvals of kind ${kind} have a handler already`)
      handlers.set(kind, handler)
    },

    async ask(tx, requester, ask) {
      const now = clock.now()
      const allowSelf = await selfAllowed(tx, ask.allowSelf)
      const roles = (ask.roles ?? []).map((role) => storedRole(role))
      try {
        const made = await tx.one<Approval>(sql`
          insert into approvals (tenant_id, id, kind, ref_id, hash, snapshot, rule_id, rule_digest, reason, required, roles, allow_self,
            requested_by, requested_for, requested_chain, requested_name, show, created_at, expires_at)
          values (${tx.tenantId}, ${ids.next()}, ${ask.kind}, ${ask.refId}, ${ask.hash}, ${ask.snapshot ?? ''}, ${ask.ruleId ?? ''},
            ${ask.ruleDigest ?? ''}, ${ask.reason ?? ''}, ${ask.required}, ${roles}, ${allowSelf}, ${requester.id}, ${personOf(requester)}, ${standingFor(requester)},
            ${requester.name}, ${jsonb(ask.show)}, ${at(now)}, ${at(ask.expiresAt)})
          returning ${columns}`)
        await publish(tx, {
          type: 'approval.requested',
          resource: { kind: 'approval', id: made.id },
          actor: actorOf(requester),
          data: { kind: ask.kind, refId: ask.refId, required: ask.required, reason: made.reason },
          at: now,
        })
        return made
      } catch (error) {
        if (isUniqueViolation(error, 'approvals_open'))
          throw new Fault(
            'RES_CONFLICT',
            { refId: ask.refId },
            { message: 'An approval for this is open already', cause: error },
          )
        throw error
      }
    },

    open: (tx, kind, refId) =>
      tx.maybe<Approval>(
        sql`select ${columns} from approvals where kind = ${kind} and ref_id = ${refId} and state = 'open' for update`,
      ),

    async latest(tx, kind, refId) {
      const found = await tx.maybe<Approval>(sql`
        select ${columns} from approvals where kind = ${kind} and ref_id = ${refId} order by created_at desc, id desc limit 1`)
      return found && { ...found, votes: await votesOf(tx, found.id) }
    },

    async decide(tx, principal, approval, { vote, reason = '', note = '' }) {
      if (approval.state !== 'open') throw resolved(approval)
      const now = clock.now()
      if (approval.expiresAt !== null && approval.expiresAt <= now) throw resolved(approval)
      refuseIneligible(principal, approval)
      const person = personOf(principal)
      const written = await tx.run(sql`
        insert into approval_votes (tenant_id, approval_id, stage, person_id, principal_id, principal_name, role, vote, reason, note, at)
        values (${tx.tenantId}, ${approval.id}, ${approval.stage}, ${person}, ${principal.id}, ${principal.name}, ${principal.roles[0] ?? ''},
          ${vote}, ${reason}, ${note}, ${at(now)})
        on conflict (tenant_id, approval_id, stage, person_id) do update
          set vote = excluded.vote, reason = excluded.reason, note = excluded.note, at = excluded.at, principal_id = excluded.principal_id`)
      if (written === 0) throw new Error('A vote was not written')
      if (vote === 'reject') return close(tx, approval, { outcome: 'rejected', by: principal, reason, note })
      const { n } = await tx.one<{ n: number }>(sql`
        select count(*)::int as n from approval_votes where approval_id = ${approval.id} and stage = ${approval.stage} and vote = 'approve'`)
      if (n >= approval.required) return close(tx, approval, { outcome: 'approved', by: principal, reason, note })
      await publish(tx, {
        type: 'approval.voted',
        resource: { kind: 'approval', id: approval.id },
        actor: actorOf(principal),
        data: { kind: approval.kind, refId: approval.refId, votes: n, required: approval.required },
        at: now,
      })
      return approval
    },

    async rebind(tx, approval, terms) {
      const allowSelf = await selfAllowed(tx, terms.allowSelf)
      return tx.one<Approval>(sql`
        update approvals set snapshot = ${terms.snapshot ?? ''}, rule_id = ${terms.ruleId ?? ''}, rule_digest = ${terms.ruleDigest ?? ''},
          reason = ${terms.reason ?? ''}, required = ${terms.required}, roles = ${(terms.roles ?? []).map((role) => storedRole(role))},
          allow_self = ${allowSelf},
          stage = case when rule_digest = ${terms.ruleDigest ?? ''} then stage else stage + 1 end
        where id = ${approval.id} and state = 'open' returning ${columns}`)
    },

    async withdraw(tx, kind, refId) {
      const now = clock.now()
      await tx.run(sql`
        update approvals set state = 'withdrawn', decided_at = ${at(now)} where kind = ${kind} and ref_id = ${refId} and state = 'open'`)
    },

    async expire() {
      const now = clock.now()
      const due = await db.engine((tx) =>
        tx.many<{ tenant_id: string; id: string }>(sql`
          select tenant_id, id from approvals where state = 'open' and expires_at <= ${at(now)} order by expires_at limit 200`),
      )
      for (const { tenant_id: tenantId, id } of due) {
        await db.tenant(tenantId, async (tx) => {
          // The thing first, then its approval, as all others lock them: the kind's handler locks; here nobody may have decided meanwhile.
          const approval = await tx.maybe<Approval>(
            sql`select ${columns} from approvals where id = ${id} and state = 'open' for update skip locked`,
          )
          if (approval) await close(tx, approval, { outcome: 'expired', reason: 'nobody decided in time', note: '' })
        })
      }
      return due.length
    },
  }
}

const SYSTEM = {
  kind: 'system',
  id: '00000000-0000-7000-8000-000000000000',
  name: 'Wheelhouse',
  onBehalfOf: [],
} as const

const votesOf = (tx: Tx, approvalId: string): Promise<CastVote[]> =>
  tx.many<CastVote>(sql`
    select person_id as "personId", principal_id as "principalId", principal_name as "principalName", role, vote, reason, note, at
      from approval_votes where approval_id = ${approvalId} order by stage, at`)

const resolved = (approval: Approval): Fault =>
  new Fault(
    'RES_CONFLICT',
    { state: approval.state },
    { message: 'approval already resolved', extra: { code: 'approval_already_resolved' } },
  )

/** Who may vote: the permission, one of the roles where some are named, and not the one who asked, nor anybody through whom or for whom (decisions D5). */
function refuseIneligible(principal: Principal, approval: Approval): void {
  if (!can(principal, 'approval:decide'))
    throw new Fault('PERM_DENIED', { required: 'approval:decide', roles: principal.roles })
  if (approval.roles.length > 0 && !approval.roles.some((role) => principal.roles.includes(role)))
    throw new Fault(
      'PERM_APPROVER',
      { roles: approval.roles },
      { message: `only ${approval.roles.join(' or ')} may decide this` },
    )
  const asked = [approval.requestedFor, ...approval.requestedChain]
  if (!approval.allowSelf && standingFor(principal).some((each) => asked.includes(each)))
    throw new Fault('PERM_SELF_APPROVAL', { requestedBy: approval.requestedName })
}
