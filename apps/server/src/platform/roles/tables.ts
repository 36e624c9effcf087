import type { Instant } from '../../kernel/clock/index.ts'
import { at, jsonb, sql, type Tx } from '../../kernel/db/index.ts'
import type { SubjectPermissions } from '../../kernel/identity/index.ts'
import { ids } from '../../kernel/clock/index.ts'

export interface RoleRow {
  name: string
  description: string
  patterns: string[]
  pub: SubjectPermissions
  sub: SubjectPermissions
  extensions: string[]
  builtIn: boolean
}

const columns = sql`name, description, patterns, pub, sub, extensions, built_in as "builtIn"`

/** All roles of the tenant; at most 1,000. */
export const allRoles = (tx: Tx): Promise<RoleRow[]> =>
  tx.many<RoleRow>(sql`select ${columns} from roles order by name limit 1000`)

export const roleNamed = (tx: Tx, name: string): Promise<RoleRow | undefined> =>
  tx.maybe<RoleRow>(sql`select ${columns} from roles where name = ${name}`)

/** Adds a role; undefined when the name is taken. */
export const insertRole = (tx: Tx, now: Instant, role: Omit<RoleRow, 'builtIn'>): Promise<RoleRow | undefined> =>
  tx.maybe<RoleRow>(sql`
    insert into roles (tenant_id, name, description, patterns, pub, sub, extensions, created_at, updated_at)
    values (${tx.tenantId}, ${role.name}, ${role.description}, ${role.patterns}, ${jsonb(role.pub)}, ${jsonb(role.sub)}, ${role.extensions}, ${at(now)}, ${at(now)})
    on conflict do nothing returning ${columns}`)

export const updateRole = (tx: Tx, now: Instant, role: Omit<RoleRow, 'builtIn'>): Promise<RoleRow> =>
  tx.one<RoleRow>(sql`
    update roles set description = ${role.description}, patterns = ${role.patterns}, pub = ${jsonb(role.pub)}, sub = ${jsonb(role.sub)},
           extensions = ${role.extensions}, updated_at = ${at(now)}
     where name = ${role.name} returning ${columns}`)

export const deleteRole = (tx: Tx, name: string): Promise<number> => tx.run(sql`delete from roles where name = ${name}`)

/** Who holds a role: groups by name, and how many principals beside them. */
export async function holdersOf(tx: Tx, role: string): Promise<{ groups: string[]; principals: number; keys: number }> {
  const bound = await tx.one<{ groups: string[] | null; principals: number }>(sql`
    select array_agg(group_name order by group_name) filter (where group_name is not null) as groups, count(principal_id) as principals
      from role_bindings where role = ${role}`)
  const { keys } = await tx.one<{ keys: number }>(
    sql`select count(*) as keys from api_keys where ${role} = any(roles) and revoked_at is null`,
  )
  return { groups: bound.groups ?? [], principals: bound.principals, keys }
}

export interface AssignmentRow {
  group: string
  roles: string[]
  description: string | null
  updated: Instant
}

const assignments = sql`
  select b.group_name as "group", array_agg(b.role order by b.role) as roles, max(b.created_at) as updated, max(g.description) as description
    from role_bindings b left join groups g on g.tenant_id = b.tenant_id and g.name = b.group_name`

/** Groups with their roles; at most 5,000. */
export const allAssignments = (tx: Tx): Promise<AssignmentRow[]> =>
  tx.many<AssignmentRow>(
    sql`${assignments} where b.group_name is not null group by b.group_name order by b.group_name limit 5000`,
  )

export const assignmentOf = (tx: Tx, group: string): Promise<AssignmentRow | undefined> =>
  tx.maybe<AssignmentRow>(sql`${assignments} where b.group_name = ${group} group by b.group_name`)

/** Takes every role from a group, whichever way its name is spelled. Returns how many bindings went. */
export const clearGroup = (tx: Tx, spellings: readonly string[]): Promise<number> =>
  tx.run(sql`delete from role_bindings where group_name = any(${[...spellings]})`)

export async function bindGroup(
  tx: Tx,
  now: Instant,
  group: string,
  roles: readonly string[],
  description: string | undefined,
): Promise<void> {
  await tx.run(sql`
    insert into groups (tenant_id, name, description, created_at) values (${tx.tenantId}, ${group}, ${description ?? ''}, ${at(now)})
    on conflict (tenant_id, name) do update set description = coalesce(${description ?? null}, groups.description)`)
  for (const role of roles)
    await tx.run(sql`
      insert into role_bindings (tenant_id, id, role, group_name, created_at) values (${tx.tenantId}, ${ids.next()}, ${role}, ${group}, ${at(now)})
      on conflict do nothing`)
}

export interface SubjectRow {
  id: string
  subject: string
  lastSeen: Instant | null
}

/** A user by subject, e-mail, name, or the subject that the provider gives; with the last sign of life. */
export const subjectNamed = (tx: Tx, name: string): Promise<SubjectRow | undefined> =>
  tx.maybe<SubjectRow>(sql`
    select u.id, p.subject,
           greatest(u.last_login_at, (select max(s.last_seen_at) from sessions s where s.principal_id = u.id),
                    (select max(k.last_used_at) from api_keys k where k.owner_id = u.id)) as "lastSeen"
      from users u join principals p on p.tenant_id = u.tenant_id and p.id = u.id
     where u.deleted_at is null
       and (p.subject = ${name} or u.id::text = ${name} or u.email_norm = ${name.trim().toLowerCase()} or u.username_norm = ${name.trim().toLowerCase()}
            or exists (select from external_identities e where e.tenant_id = u.tenant_id and e.user_id = u.id and e.subject = ${name}))
     order by (p.subject = ${name}) desc, u.id limit 1`)
