import { Fault } from '@wheelhouse/contract'
import type { FreezeWindow, freezeWindows } from '@wheelhouse/contract/release/freeze-windows'
import type { Body } from '@wheelhouse/contract'
import { ids, type Instant } from '../../kernel/clock/index.ts'
import { sql, type Tx } from '../../kernel/db/index.ts'
import { actorOf, type Principal } from '../../kernel/identity/index.ts'
import { requireAccess } from '../access.ts'
import { getEnvironment } from '../environments/tables.ts'
import { noSuch, refuseBody } from '../resource.ts'
import { announceFreezes, publishFreeze } from './announce.ts'
import { deleteFreeze, findFreeze, insertFreeze } from './tables.ts'

const DAY_MS = 24 * 3_600_000
const LONGEST_MS = 366 * DAY_MS

/** Creates a window; one that has begun is told at once, the others by `announceFreezes` when their time comes. */
export async function createFreezeWindow(
  tx: Tx,
  principal: Principal,
  environmentId: string,
  body: Body<typeof freezeWindows.create>,
  now: Instant,
): Promise<FreezeWindow> {
  const environment = await getEnvironment(tx, environmentId)
  requireAccess(principal, 'environment:freeze', environment)
  const start = Date.parse(body.start)
  const end = Date.parse(body.end)
  const until = body.recurrence?.until === undefined ? null : Date.parse(body.recurrence.until)
  refuseRange(start, end, until, now)
  await requirePrincipals(tx, body.exceptions)
  const id = ids.next()
  await insertFreeze(tx, {
    id,
    environmentId,
    start,
    end,
    reason: body.reason,
    exceptions: body.exceptions,
    freq: body.recurrence?.freq ?? null,
    until,
    createdBy: principal.id,
    createdAt: now,
  })
  await announceFreezes(tx, now, actorOf(principal))
  const made = await findFreeze(tx, now, environmentId, id)
  if (!made) throw new Error('A freeze window vanished in its own transaction')
  return made
}

/** Removes a window. One that runs ends now (release.md §6.2). */
export async function removeFreezeWindow(
  tx: Tx,
  principal: Principal,
  environmentId: string,
  id: string,
  now: Instant,
): Promise<FreezeWindow> {
  requireAccess(principal, 'environment:freeze', await getEnvironment(tx, environmentId))
  const freeze = await findFreeze(tx, now, environmentId, id)
  if (!freeze) throw new Fault('RES_NOT_FOUND', { id })
  await deleteFreeze(tx, id)
  if (freeze.active) await publishFreeze(tx, 'ended', freeze, actorOf(principal), now)
  return freeze
}

function refuseRange(start: Instant, end: Instant, until: Instant | null, now: Instant): void {
  const refuse = (field: string, message: string): never => {
    throw new Fault(
      'VAL_INVALID_RANGE',
      { field },
      { message: `${field} ${message}`, violations: [{ field, message, code: field === 'end' ? 'min' : 'max' }] },
    )
  }
  if (end <= start) refuse('end', 'must be after start')
  if (end - start > LONGEST_MS) refuse('start', 'must be at most 366 days before end')
  if (end <= now && until === null) refuse('end', 'must be in the future')
  if (until !== null && until < start) refuse('recurrence.until', 'must not be before start')
  if (until !== null && end <= now && until <= now) refuse('end', 'must be in the future')
}

/** Who may pass the window must be someone of this tenant (release.md §3.2: a reference inside a body). */
async function requirePrincipals(tx: Tx, exceptions: readonly string[]): Promise<void> {
  if (exceptions.length === 0) return
  const known = await tx.many<{ id: string }>(
    sql`select id from principals where id = any(${[...exceptions]}::uuid[]) and deleted_at is null`,
  )
  const found = new Set(known.map(({ id }) => id))
  const [first, ...more] = exceptions.flatMap((id, i) => (found.has(id) ? [] : [noSuch(`exceptions[${i}]`, 'user')]))
  if (first) refuseBody(first, ...more)
}
