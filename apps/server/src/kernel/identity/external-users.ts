import { Fault } from '@wheelhouse/contract'
import type { Instant } from '../clock/index.ts'
import { at, sql, type Tx } from '../db/index.ts'
import { bareGroup } from './roles.ts'
import { createUser, normalised, type UserSource } from './users.ts'

/** What an identity provider says of a user. */
export interface ExternalClaims {
  /** The protocol in which it says so. */
  by: Exclude<UserSource, 'local'>
  issuer: string
  subject: string
  email?: string
  /** Only a verified address may lead to a user who is here already. */
  emailVerified: boolean
  name?: string
  username?: string
  groups: readonly string[]
  /** When the token or assertion that says so ends. */
  expiresAt: Instant
}

export interface ExternalUser {
  tenantId: string
  tenantSlug: string
  userId: string
}

const MAX_GROUPS = 500
const LOCK = 7_101_927

/**
 * The user behind a provider's claims, made or linked at the first login, with today's groups. For `db.auth`.
 * Users of the provider belong to the first tenant. Two first logins at once end with one user. Throws PERM_DISABLED for one
 * who may not act, CONFIG_MISSING before the first start.
 */
export async function admitExternal(tx: Tx, now: Instant, claims: ExternalClaims): Promise<ExternalUser> {
  const tenant = await tx.maybe<{ id: string; slug: string }>(sql`
    select t.id, t.slug from installation i join tenants t on t.id = (i.value #>> '{}')::uuid where i.key = 'first_tenant'`)
  if (!tenant) throw new Fault('CONFIG_MISSING', { setting: 'first tenant' })
  let userId = await linked(tx, tenant.id, claims)
  if (userId === undefined) {
    // First logins of one tenant go one after the other: names are given once.
    await tx.run(sql`select pg_advisory_xact_lock(${LOCK}, hashtext(${tenant.id}))`)
    userId = (await linked(tx, tenant.id, claims)) ?? (await welcome(tx, now, tenant.id, claims))
  }
  const state = await tx.one<{ barred: boolean }>(sql`
    select (u.disabled or u.deleted_at is not null or p.state = 'frozen') as barred
      from users u join principals p on p.tenant_id = u.tenant_id and p.id = u.id where u.tenant_id = ${tenant.id} and u.id = ${userId}`)
  if (state.barred) throw new Fault('PERM_DISABLED', {}, { message: 'user is disabled' })
  await tx.run(sql`
    update users set last_login_at = ${at(now)}, display_name = coalesce(${claims.name ?? null}, display_name)
     where tenant_id = ${tenant.id} and id = ${userId}`)
  await setGroups(tx, tenant.id, userId, claims)
  return { tenantId: tenant.id, tenantSlug: tenant.slug, userId }
}

async function linked(tx: Tx, tenantId: string, { issuer, subject }: ExternalClaims): Promise<string | undefined> {
  const row = await tx.maybe<{ id: string }>(sql`
    select user_id as id from external_identities where tenant_id = ${tenantId} and issuer = ${issuer} and subject = ${subject}`)
  return row?.id
}

/** Links the provider's user to one with the same verified address, or to the configured administrator; else makes one. */
async function welcome(tx: Tx, now: Instant, tenantId: string, claims: ExternalClaims): Promise<string> {
  const { issuer, subject, email } = claims
  const userId = (await acquainted(tx, tenantId, claims)) ?? (await makeUser(tx, now, tenantId, claims))
  await tx.run(sql`
    insert into external_identities (tenant_id, issuer, subject, user_id, created_at)
    values (${tenantId}, ${issuer}, ${subject}, ${userId}, ${at(now)})`)
  if (email !== undefined && claims.emailVerified) {
    const taken = await tx.maybe(
      sql`select 1 from users where tenant_id = ${tenantId} and email_norm = ${normalised(email)} and deleted_at is null`,
    )
    if (!taken)
      await tx.run(
        sql`update users set email = ${email}, email_norm = ${normalised(email)} where tenant_id = ${tenantId} and id = ${userId} and email is null`,
      )
  }
  return userId
}

async function acquainted(tx: Tx, tenantId: string, claims: ExternalClaims): Promise<string | undefined> {
  const { by, email, emailVerified, subject } = claims
  const admin = await tx.maybe<{ subject: string | null }>(
    sql`select value #>> '{}' as subject from installation where key = 'admin_subject'`,
  )
  const addresses = [
    ...(email !== undefined && emailVerified ? [normalised(email)] : []),
    // platform.md §9.1 says so of OpenID's subjects. A NameID may be an address that nobody verified.
    ...(by === 'oidc' && admin?.subject === subject ? [normalised(subject)] : []),
  ]
  if (addresses.length === 0) return undefined
  const row = await tx.maybe<{ id: string }>(sql`
    select id from users where tenant_id = ${tenantId} and email_norm = any(${addresses}) and deleted_at is null order by id limit 1`)
  return row?.id
}

async function makeUser(tx: Tx, now: Instant, tenantId: string, claims: ExternalClaims): Promise<string> {
  const { by, subject, issuer, name } = claims
  const taken = await tx.maybe(sql`
    select 1 from principals where tenant_id = ${tenantId} and kind = 'user' and subject = ${subject} and deleted_at is null`)
  const user = await createUser(tx, now, {
    tenantId,
    username: await freeUsername(tx, tenantId, (claims.username ?? claims.email ?? subject).slice(0, 200)),
    source: by,
    subject: taken ? `${issuer}#${subject}` : subject,
    ...(name === undefined ? {} : { displayName: name }),
  })
  return user.id
}

async function freeUsername(tx: Tx, tenantId: string, wanted: string): Promise<string> {
  for (let number = 1; ; number++) {
    const name = number === 1 ? wanted : `${wanted}-${number}`
    const taken = await tx.maybe(sql`
      select 1 from users where tenant_id = ${tenantId} and username_norm = ${normalised(name)} and deleted_at is null`)
    if (!taken) return name
  }
}

/** The groups that the provider names now; those that were given here, or by a provider of another protocol, stay. */
async function setGroups(
  tx: Tx,
  tenantId: string,
  userId: string,
  { by, groups: named }: ExternalClaims,
): Promise<void> {
  const groups = [...new Set(named.map(bareGroup).filter((name) => name !== '' && name.length <= 256))]
    .sort()
    .slice(0, MAX_GROUPS)
  await tx.run(sql`
    delete from group_members where tenant_id = ${tenantId} and principal_id = ${userId} and source = ${by} and group_name <> all(${groups})`)
  await tx.run(sql`
    insert into groups (tenant_id, name, source) select ${tenantId}, name, ${by} from unnest(${groups}::text[]) as name on conflict do nothing`)
  await tx.run(sql`
    insert into group_members (tenant_id, group_name, principal_id, source)
    select ${tenantId}, name, ${userId}, ${by} from unnest(${groups}::text[]) as name on conflict do nothing`)
}
