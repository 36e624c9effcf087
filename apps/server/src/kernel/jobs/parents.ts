import { Fault } from '@wheelhouse/contract'
import { LRUCache } from 'lru-cache'
import { covers } from '../bus/index.ts'
import type { Instant } from '../clock/index.ts'
import { sql } from '../db/index.ts'
import { actingFor, can, type Principal } from '../identity/index.ts'
import type { Core } from './core.ts'

/** Who listens where is asked of the nats-server; an agent submits many children while it works on one job. */
const LISTENS_MS = 5000

interface ParentRow {
  principal: Principal
  topic: string
  isRunning: boolean
  /** Who has it, or had it last; null: it was offered to whoever listens on its topic. */
  workerId: string | null
  /** On NATS: the caller's own key, and the others of its owner (a worker may submit with another key than it listens with). */
  nkeys: string[]
}

/** Who may put a job below another one, and for whom that is done then. */
export interface Parents {
  /**
   * The principal as it acts with this parent: a worker on behalf of whoever asked for the job that it works on, and with no more rights.
   * `checked`: refuses (PERM_DENIED) whoever neither works on the parent nor asked for it nor manages all jobs (`job:remediate`). An id of
   * no job is a label alone.
   */
  actingBelow(principal: Principal, parentJobId: string, checked: boolean): Promise<Principal>
}

type Connections = Awaited<ReturnType<Core['accounts']['connections']>>

interface Looks {
  last: Promise<Connections>
  at: Instant
  /** It has not begun yet. */
  next?: Promise<Connections>
}

export function openParents({ db, accounts, clock }: Pick<Core, 'db' | 'accounts' | 'clock'>): Parents {
  const known = new LRUCache<string, Looks>({ max: 1000 })

  /** Who listens as of a few seconds ago, or (`anew`) in a look that begins after this call: one at a time for each tenant. */
  function connectionsOf(tenantId: string, anew: boolean): Promise<Connections> {
    const looks: Looks = known.get(tenantId) ?? { last: Promise.resolve([]), at: -Infinity }
    known.set(tenantId, looks)
    if (!anew && clock.now() - looks.at < LISTENS_MS) return looks.last
    const next = (looks.next ??= looks.last
      .catch(() => undefined)
      .then(() => {
        delete looks.next
        looks.at = clock.now()
        looks.last = accounts.connections({ tenantId })
        looks.last.catch(() => (looks.at = -Infinity))
        return looks.last
      }))
    return next
  }

  async function worksOn({ tenantId }: Principal, { nkeys, workerId, topic }: ParentRow): Promise<boolean> {
    if (nkeys.length === 0) return false
    const among = (connections: Connections): boolean => {
      const direct = `worker.${workerId}.jobs`
      const offeredTo = (subject: string): boolean => subject === direct
      // A job goes to its worker's own subject; where nobody is there, to one of those who listen on its topic.
      const isDirect = workerId !== null && connections.some(({ subjects }) => subjects.some(offeredTo))
      return connections
        .filter(({ user }) => nkeys.includes(user))
        .some(({ subjects }) => subjects.some(isDirect ? offeredTo : (subject) => covers(subject, topic)))
    }
    if (among(await connectionsOf(tenantId, false))) return true
    // Whoever has just come is not known yet.
    return among(await connectionsOf(tenantId, true))
  }

  return {
    async actingBelow(principal, parentJobId, checked) {
      const parent = await db.tenant(principal.tenantId, (tx) =>
        tx.maybe<ParentRow>(sql`
          select pr.principal, j.topic, coalesce(q.state = 'leased', false) as "isRunning", coalesce(q.worker_id, j.worker_id) as "workerId",
                 array(select k.nats_public_key from api_keys own join api_keys k on k.tenant_id = own.tenant_id and k.owner_id = own.owner_id
                        where own.id::text = ${principal.keyId ?? ''} and k.account = 'tenant' and k.nats_public_key is not null) as nkeys
            from jobs j
            join job_principals pr on pr.tenant_id = j.tenant_id and pr.hash = j.principal_hash
            left join job_queue q on q.tenant_id = j.tenant_id and q.id = j.id
           where j.id = ${parentJobId}`),
      )
      if (!parent) return principal
      const isWorker = can(principal, 'worker:connect')
      if (checked && !isTheirs(principal, parent.principal) && !can(principal, 'job:remediate')) {
        if (!isWorker || !(await worksOn(principal, parent)))
          throw new Fault(
            'PERM_DENIED',
            { parentJobId },
            { message: 'parent_job_id names a job that you neither work on nor asked for: leave it out' },
          )
      }
      return isWorker && parent.isRunning ? actingFor(principal, parent.principal) : principal
    },
  }
}

/** Whether one of those who stand behind the caller stands behind the job too. */
function isTheirs(principal: Principal, asked: Principal): boolean {
  const behind = ({ id, ownerId, onBehalfOf }: Principal): string[] => [
    id,
    ...(ownerId ? [ownerId] : []),
    ...onBehalfOf,
  ]
  const own = new Set(behind(principal))
  return behind(asked).some((id) => own.has(id))
}
