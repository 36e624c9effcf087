import { Fault } from '@wheelhouse/contract'
import { iso, isoOrNull, type Instant } from '../../kernel/clock/index.ts'
import { sql, type Tx } from '../../kernel/db/index.ts'
import {
  type ApiKey,
  createKey,
  findKey,
  holds,
  type Identity,
  keysOf,
  meetPatterns,
  patternsOf,
  type Principal,
  revokeKey,
  type SubjectPermissions,
  updateKey,
} from '../../kernel/identity/index.ts'
import {
  askedCapabilities,
  type Capabilities,
  chosenAccount,
  isNarrower,
  requireValidSubjects,
  withinCeiling,
} from './capabilities.ts'

/** platform.md §19.1. */
const MAX_KEYS = 200
/** platform.md §8.6: "Try it out" of the API explorer. */
const TRY_IT_MS = 5 * 60_000
/** Made for one purpose: they make and change no keys. */
const CONFINED: ReadonlySet<string> = new Set(['tryit', 'agent', 'worker', 'system'])

export interface KeyBody {
  name: string
  pub?: SubjectPermissions | null
  sub?: SubjectPermissions | null
  capabilities?: Partial<Capabilities>
  expires?: string | null
  notes?: string
  kind?: 'user' | 'cli' | 'tryit'
  admin?: boolean
  account?: 'own' | 'tenant'
}

export interface KeyPatch extends Partial<Omit<KeyBody, 'capabilities' | 'kind' | 'account'>> {
  id?: string
  token?: string
  account?: string
  kind?: string
}

export interface Call {
  tx: Tx
  principal: Principal
  now: Instant
}

const bad = (message: string): never => {
  throw new Fault('VAL_SCHEMA', { in: 'body' }, { message })
}

/** Keys belong to people: a key's keys are its owner's. */
const ownerOf = (principal: Principal): string => principal.ownerId ?? principal.id

/** The caller's own key, when it calls with one. */
const callerKey = async ({ tx, principal }: Call): Promise<ApiKey | undefined> =>
  principal.keyId === undefined ? undefined : findKey(tx, principal.keyId)

/** Makes a key that can do no more than its maker (platform.md §3.2, §8.3). */
export async function makeKey(
  identity: Identity,
  call: Call,
  body: KeyBody,
): Promise<{ key: ApiKey; token: string; account: string }> {
  const { tx, principal, now } = call
  const caller = await callerKey(call)
  if (caller && CONFINED.has(caller.kind)) throw new Fault('PERM_DENIED', { kind: caller.kind })
  const ownerId = ownerOf(principal)
  await requireRoom(tx, ownerId)
  const rights = await identity.subjectRights(tx, principal)
  const given = askedCapabilities(body)
  const isTryIt = body.kind === 'tryit'
  if (isTryIt && (given.pub || given.sub)) bad('pub and sub: a key of kind tryit has the extensions’ subjects alone')
  const asked: Capabilities = isTryIt
    ? { pub: { allow: meetPatterns(rights.pub.allow, ['cirata.extensions.>']) }, sub: { allow: [] } }
    : { pub: given.pub ?? {}, sub: given.sub ?? {} }
  const place = chosenAccount(principal, asked, body.account)
  requireValidSubjects(asked, place)
  const stored = withinCeiling(rights, caller, asked)
  const expiresAt = isTryIt
    ? shortest(now + TRY_IT_MS, readExpiry(body.expires, now))
    : expiryFor(caller, body.expires, now)
  const { key, token } = await createKey(tx, now, {
    tenantId: principal.tenantId,
    ownerId,
    name: body.name,
    notes: body.notes ?? '',
    kind: body.kind ?? 'user',
    // A key that is confined to roles makes keys that are, too; one for trying things out only looks.
    roles: isTryIt ? ['viewer'] : (caller?.roles ?? []),
    admin: isTryIt ? false : adminFlag(caller, body.admin),
    account: place,
    ...stored,
    expiresAt: expiresAt ?? null,
  })
  return { key, token, account: await accountOf(identity, call, key) }
}

async function requireRoom(tx: Tx, ownerId: string): Promise<void> {
  const { n } = await tx.one<{ n: number }>(sql`
    select count(*) as n from api_keys where owner_id = ${ownerId} and revoked_at is null and kind <> 'session'`)
  if (n >= MAX_KEYS) bad(`A user has at most ${MAX_KEYS} keys; delete one first`)
}

function adminFlag(caller: ApiKey | undefined, asked: boolean | undefined): boolean {
  if (!caller || caller.admin) return asked ?? true
  if (asked === true) throw new Fault('PERM_DENIED', { admin: true })
  return false
}

function readExpiry(text: string | null | undefined, now: Instant): Instant | null | undefined {
  if (text === null || text === undefined) return text
  const instant = Date.parse(text)
  if (instant <= now) bad('expires must be in the future')
  return instant
}

const shortest = (one: Instant, other: Instant | null | undefined): Instant => Math.min(one, other ?? Infinity)

/** What a key that ends makes ends with it. */
function expiryFor(
  caller: ApiKey | undefined,
  text: string | null | undefined,
  now: Instant,
): Instant | null | undefined {
  const asked = readExpiry(text, now)
  const limit = caller?.expiresAt
  if (limit === null || limit === undefined) return asked
  if (asked === undefined) return limit
  if (asked === null || asked > limit) throw new Fault('PERM_DENIED', { expires: 'beyond that of the calling key' })
  return asked
}

/** Public key of the account that a key's credentials stand in. */
const accountOf = (identity: Identity, { tx, principal }: Call, key: ApiKey): Promise<string> =>
  identity.accountKey(tx, principal.tenantId, key.account === 'tenant' ? undefined : key.ownerId)

/** The live keys of whoever calls, newest first. */
export async function listOwnKeys(identity: Identity, call: Call) {
  const keys = await keysOf(call.tx, ownerOf(call.principal))
  const shown = []
  for (const key of keys) shown.push(listed(key, await accountOf(identity, call, key), call.now))
  return shown
}

/** What one changes of a key: rights within the ceiling of the caller, never its own wider (platform.md §3.2). */
export async function changeKey(identity: Identity, call: Call, id: string, body: KeyPatch) {
  const { tx, principal, now } = call
  const key = await findKey(tx, id, ownerOf(principal))
  const caller = await callerKey(call)
  await requireMastery(call, caller, key)
  const account = await accountOf(identity, call, key)
  requireImmutable(key, account, body)
  const given = askedCapabilities(body)
  const isSelf = caller?.id === key.id
  const before: Capabilities = { pub: key.pub, sub: key.sub }
  let after = before
  if (given.pub !== undefined || given.sub !== undefined) {
    const asked: Capabilities = {
      pub: given.pub === undefined ? key.pub : (given.pub ?? {}),
      sub: given.sub === undefined ? key.sub : (given.sub ?? {}),
    }
    if (chosenAccount(principal, asked, key.account === 'tenant' ? 'tenant' : undefined) !== key.account)
      bad('pub and sub: subjects under job., worker. and sys. need a key made in the tenant account')
    requireValidSubjects(asked, key.account)
    after = withinCeiling(await identity.subjectRights(tx, principal), caller, asked)
    if (isSelf) requireNotWider(before, asked)
  }
  const expiresAt = body.expires === undefined ? undefined : expiryFor(caller, body.expires, now)
  const admin = body.admin === undefined ? undefined : adminFlag(caller, body.admin)
  const endsSooner = expiresAt !== undefined && expiresAt !== null && expiresAt < (key.expiresAt ?? Infinity)
  const narrowed = isNarrower(before, after) || endsSooner
  const changed = await updateKey(
    tx,
    now,
    key.id,
    {
      ...(body.name === undefined ? {} : { name: body.name }),
      ...(body.notes === undefined ? {} : { notes: body.notes }),
      ...(after === before ? {} : after),
      ...(expiresAt === undefined ? {} : { expiresAt }),
      ...(admin === undefined ? {} : { admin }),
    },
    narrowed,
  )
  return { before: listed(key, account, now), after: listed(changed, account, now), narrowed }
}

/** Ends a key of the caller. */
export async function endKey(call: Call, id: string): Promise<ApiKey> {
  const { tx, principal, now } = call
  const key = await findKey(tx, id, ownerOf(principal))
  await requireMastery(call, await callerKey(call), key)
  await revokeKey(tx, now, key.id)
  return key
}

/** A key touches other keys only where it holds all that they hold; one made for a purpose touches itself alone. */
async function requireMastery({ tx, principal }: Call, caller: ApiKey | undefined, key: ApiKey): Promise<void> {
  if (!caller || caller.id === key.id) return
  const roles = key.roles.length > 0 ? key.roles : await rolesOfOwner(tx, key.ownerId, principal)
  const asked = await patternsOf(tx, principal.tenantId, roles)
  // Beside a key without the flag, the caller's own lack of it means nothing.
  const grants = key.admin ? principal.grants : principal.grants.filter((set) => !set.includes('!admin'))
  if (CONFINED.has(caller.kind) || !holds({ ...principal, grants }, asked))
    throw new Fault('PERM_DENIED', { key: key.id })
}

async function rolesOfOwner(tx: Tx, ownerId: string, { groups }: Principal): Promise<string[]> {
  const rows = await tx.many<{ role: string }>(sql`
    select distinct role from role_bindings where principal_id = ${ownerId} or group_name = any(${[...groups]})`)
  return rows.map((row) => row.role)
}

/** `id`, `token`, `account` and `kind` stay; naming them as they are is no change. */
function requireImmutable(key: ApiKey, account: string, body: KeyPatch): void {
  const differs =
    (body.id !== undefined && body.id !== key.id && 'id') ||
    (body.token !== undefined && 'token') ||
    (body.account !== undefined && body.account !== account && body.account !== key.account && 'account') ||
    (body.kind !== undefined && body.kind !== key.kind && 'kind')
  if (differs) throw new Fault('VAL_IMMUTABLE_FIELD', { field: differs }, { message: `${differs} cannot be changed` })
  const isPassing = key.kind === 'tryit' || key.kind === 'session'
  if (
    isPassing &&
    (body.pub !== undefined || body.sub !== undefined || body.expires !== undefined || body.admin !== undefined)
  )
    bad(`A key of kind ${key.kind} keeps its rights and its end`)
}

/** A key never widens itself, not even within what its owner has. */
function requireNotWider(before: Capabilities, asked: Capabilities): void {
  for (const side of ['pub', 'sub'] as const) {
    const { allow, deny = [] } = before[side]
    const dropped = deny.some((entry) => !(asked[side].deny ?? []).includes(entry))
    if (dropped || (allow !== undefined && asked[side].allow === undefined))
      throw new Fault('PERM_DENIED', { [side]: 'a key does not widen itself' })
  }
}

/** A key as the surface shows it; never with token, seed or JWT. */
export const shown = (key: ApiKey, account: string) => ({
  id: key.id,
  name: key.name,
  account,
  kind: key.kind,
  admin: key.admin,
  capabilities: { pub: key.pub, sub: key.sub },
  expires: isoOrNull(key.expiresAt),
  notes: key.notes,
  created: iso(key.createdAt),
})

const listed = (key: ApiKey, account: string, now: Instant) => ({
  ...shown(key, account),
  ...(key.lastUsedAt === null ? {} : { lastUsed: iso(key.lastUsedAt) }),
  expired: key.expiresAt !== null && key.expiresAt <= now,
})
