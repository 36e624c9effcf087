import { randomBytes } from 'node:crypto'
import { type Clock, ids } from '../clock/index.ts'
import { at, type Db, jsonb, sql, type Tx } from '../db/index.ts'
import { createKey } from './keys.ts'
import { hashPassword } from './passwords.ts'
import { installRoles } from './roles.ts'
import { bindRole, createUser } from './users.ts'

export interface Tenant {
  id: string
  slug: string
  name: string
}

/** The clear text that only the first start knows (decisions D10). */
export interface FirstSecrets {
  email: string
  password: string
  apiKey: string
}

export const ADMIN_EMAIL = 'admin@wheelhouse.local'

/** A password that passes our own rule. */
const newPassword = (): string => `Wh-${randomBytes(12).toString('base64url')}7!`

/** Makes a tenant with its built-in roles. Its policy and accounts are installed by their own kernels. */
export async function createTenant(tx: Tx, slug: string, name: string): Promise<Tenant> {
  const id = ids.next()
  await tx.run(sql`insert into tenants (id, slug, name) values (${id}, ${slug}, ${name})`)
  await installRoles(tx, id)
  return { id, slug, name }
}

/**
 * The first start: tenant `default`, admin user, admin key. Repeatable: later starts find the tenant and return no secrets.
 * Runs under the migration lock, so that replicas that start together make one.
 */
export async function firstStart(db: Db, clock: Clock): Promise<{ tenant: Tenant; secrets?: FirstSecrets }> {
  return db.auth(async (tx) => {
    const known = await firstTenant(tx)
    if (known) {
      await installRoles(tx, known.id)
      return { tenant: known }
    }
    const tenant = await createTenant(tx, 'default', 'Default')
    const secrets = await createAdmin(tx, clock, tenant.id)
    await tx.run(
      sql`insert into installation (key, value) values ('first_tenant', ${jsonb(tenant.id)}), ('admin_subject', ${jsonb(ADMIN_EMAIL)})`,
    )
    return { tenant, secrets }
  })
}

async function createAdmin(tx: Tx, clock: Clock, tenantId: string): Promise<FirstSecrets> {
  const password = newPassword()
  const user = await createUser(tx, clock.now(), {
    tenantId,
    username: 'admin',
    email: ADMIN_EMAIL,
    displayName: 'Administrator',
    password,
    role: 'admin',
  })
  await bindRole(tx, tenantId, user.id, 'platform-admin')
  const { token } = await createKey(tx, clock.now(), {
    tenantId,
    ownerId: user.id,
    name: 'First administrator key',
    kind: 'cli',
    admin: true,
  })
  return { email: ADMIN_EMAIL, password, apiKey: token }
}

/**
 * New secrets for the administrator of the first start, for `wheelhouse admin reset` on the host itself. The old password, all
 * sessions and all of the administrator's CLI keys stop working; keys made for services stay.
 */
export async function resetAdmin(db: Db, clock: Clock): Promise<{ tenant: Tenant; secrets: FirstSecrets }> {
  return db.auth(async (tx) => {
    const tenant = await tx.one<Tenant>(sql`
      select t.id, t.slug, t.name from installation i join tenants t on t.id = (i.value #>> '{}')::uuid where i.key = 'first_tenant'`)
    const admin = await tx.one<{ id: string }>(sql`
      select id from users where tenant_id = ${tenant.id} and username_norm = 'admin' and deleted_at is null`)
    const password = newPassword()
    await tx.run(
      sql`update users set password_hash = ${await hashPassword(password)}, disabled = false where tenant_id = ${tenant.id} and id = ${admin.id}`,
    )
    await tx.run(sql`delete from sessions where tenant_id = ${tenant.id} and principal_id = ${admin.id}`)
    await tx.run(sql`
      update api_keys set revoked_at = ${at(clock.now())}, updated_at = ${at(clock.now())}
       where tenant_id = ${tenant.id} and owner_id = ${admin.id} and kind = 'cli' and revoked_at is null`)
    const { token } = await createKey(tx, clock.now(), {
      tenantId: tenant.id,
      ownerId: admin.id,
      name: 'Administrator key after a reset',
      kind: 'cli',
      admin: true,
    })
    return { tenant, secrets: { email: ADMIN_EMAIL, password, apiKey: token } }
  })
}

/** The tenant of the first start; undefined before it. */
export const firstTenant = (tx: Tx): Promise<Tenant | undefined> =>
  tx.maybe<Tenant>(sql`
    select t.id, t.slug, t.name from installation i join tenants t on t.id = (i.value #>> '{}')::uuid where i.key = 'first_tenant'`)

/** A tenant by its uuid or slug. */
export const findTenant = (tx: Tx, name: string): Promise<Tenant | undefined> =>
  tx.maybe<Tenant>(sql`select id, slug, name from tenants where slug = ${name} or id::text = ${name}`)
