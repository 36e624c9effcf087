import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ids } from '../clock/index.ts'
import { testDatabase } from '../../testing/world.ts'
import { migrate } from './migrate.ts'

let database: Awaited<ReturnType<typeof testDatabase>>
let owner: pg.Client
beforeAll(async () => {
  database = await testDatabase()
  owner = new pg.Client({ connectionString: database.url })
  await owner.connect()
})
afterAll(async () => {
  await owner.end()
  await database.drop()
})

const names = async (statement: string): Promise<string[]> =>
  (await owner.query<{ name: string }>(statement)).rows.map(({ name }) => name)

const REQUEST_ROLES = `'wh_tenant', 'wh_engine', 'wh_auth', 'wh_reader'`

/** Everything that holds rows; the schema of the scheduler library, if there is one, holds ids only (decisions D6). */
const OURS = `c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'm', 'f')`
const TENANT = `exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped)`
const OWN_TENANT = '( SELECT wh_current_tenant()'

/** Each statement names what breaks its rule; a sound catalogue answers all with nothing. */
const WALK = {
  'a table of tenants without row-level security, or where its owner passes it': `
    select c.relname as name from pg_class c where ${OURS} and ${TENANT} and not (c.relrowsecurity and c.relforcerowsecurity)`,
  'a table of tenants that does not confine wh_tenant, reading and writing alike': `
    select c.relname as name from pg_class c where ${OURS} and ${TENANT} and not c.relispartition and not exists (
      select from pg_policies p where p.tablename = c.relname and p.schemaname = 'public' and p.roles @> '{wh_tenant}' and p.cmd = 'ALL'
         and p.permissive = 'PERMISSIVE'
         and p.qual like '%tenant_id = ${OWN_TENANT}%' and p.with_check like '%tenant_id = ${OWN_TENANT}%')`,
  'a policy by which everybody, or wh_tenant, sees more than its own': `
    select tablename || '.' || policyname as name from pg_policies
     where schemaname = 'public' and permissive = 'PERMISSIVE' and (roles @> '{public}' or (roles @> '{wh_tenant}'
       and (coalesce(qual, with_check) not like '%= ${OWN_TENANT}%' or coalesce(with_check, qual) not like '%= ${OWN_TENANT}%'
         or qual ilike '% or %' or with_check ilike '% or %')))`,
  'a table of tenants whose rows may have none, or whose key does not begin with it': `
    select c.relname as name from pg_class c join pg_attribute t on t.attrelid = c.oid and t.attname = 'tenant_id' and not t.attisdropped
      left join pg_index i on i.indrelid = c.oid and i.indisprimary
     where ${OURS} and not c.relispartition and c.relname <> 'outbox'
       and (not t.attnotnull or i.indkey is null or i.indkey[0] <> t.attnum)`,
  'a table without a tenant that requests reach': `
    select c.relname || ' ' || r as name from pg_class c, unnest(array[${REQUEST_ROLES}]) as r
     where ${OURS} and not ${TENANT} and not c.relispartition
       and has_table_privilege(r, c.oid, 'select, insert, update, delete')
       and (c.relname, r) not in (
         -- Who reads an installation's own facts, and the tenants' names, each its own.
         ('installation', 'wh_tenant'), ('installation', 'wh_engine'), ('installation', 'wh_auth'),
         ('tenants', 'wh_tenant'), ('tenants', 'wh_engine'), ('tenants', 'wh_auth'),
         -- Logging in happens before a tenant is known.
         ('device_flows', 'wh_auth'), ('login_flows', 'wh_auth'), ('signing_keys', 'wh_auth'),
         ('login_failures', 'wh_auth'), ('login_failures', 'wh_engine'),
         -- Names of the server's own tasks.
         ('schedule', 'wh_engine')) order by 1`,
  'a right to empty, to reference or to hang triggers on a table, which no policy confines': `
    select c.relname || ' ' || r as name from pg_class c, unnest(array[${REQUEST_ROLES}]) as r
     where ${OURS} and has_table_privilege(r, c.oid, 'truncate, references, trigger')`,
  'a right of everybody': `
    select distinct table_name || ' ' || privilege_type as name from information_schema.role_table_grants
     where table_schema = 'public' and grantee = 'PUBLIC'`,
  'a right of the reader to more than read': `
    select distinct table_name || ' ' || privilege_type as name from information_schema.role_table_grants
     where grantee = 'wh_reader' and privilege_type <> 'SELECT'`,
  'a right on a partition, past its parent': `
    select c.relname as name from pg_class c, unnest(array[${REQUEST_ROLES}]) as r
     where c.relispartition and c.relnamespace = 'public'::regnamespace
       and has_table_privilege(r, c.oid, 'select, insert, update, delete')`,
  'a view with the rights of its owner': `
    select c.relname as name from pg_class c
     where c.relkind = 'v' and c.relnamespace = 'public'::regnamespace and not coalesce(c.reloptions @> '{security_invoker=true}', false)`,
  'a kept copy of rows, or a foreign table, which row-level security does not know': `
    select c.relname as name from pg_class c where c.relkind in ('m', 'f') and c.relnamespace = 'public'::regnamespace`,
  'a function with the rights of its owner that requests may call': `
    select p.proname || ' ' || r as name from pg_proc p, unnest(array[${REQUEST_ROLES}]) as r
     where p.prosecdef and p.pronamespace = 'public'::regnamespace and has_function_privilege(r, p.oid, 'execute')
       and (p.proname, r) not in (('fleet_ensure_day', 'wh_engine'), ('fleet_drop_days', 'wh_engine'))`,
  'a function with the rights of its owner that looks names up where others may put them': `
    select p.proname as name from pg_proc p
     where p.prosecdef and p.pronamespace = 'public'::regnamespace and not coalesce(p.proconfig::text like '%search_path=public, pg_temp%', false)`,
  'a rule or a trigger that acts with rights of its own': `
    select t.tgname as name from pg_trigger t join pg_proc p on p.oid = t.tgfoid join pg_class c on c.oid = t.tgrelid
     where not t.tgisinternal and c.relnamespace = 'public'::regnamespace and p.prosecdef
    union all select rulename from pg_rules where schemaname = 'public'`,
  'a request role that is superuser, passes row-level security or makes roles': `
    select rolname as name from pg_roles where rolname in (${REQUEST_ROLES}) and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb)`,
  'a request role that may become another': `
    select m.rolname as name from pg_auth_members am join pg_roles m on m.oid = am.member where m.rolname in (${REQUEST_ROLES})`,
  'a request role that owns something or may make something': `
    select c.relname as name from pg_class c join pg_roles r on r.oid = c.relowner where ${OURS} and r.rolname in (${REQUEST_ROLES})
    union all select p.proname from pg_proc p join pg_roles r on r.oid = p.proowner where r.rolname in (${REQUEST_ROLES})
    union all select n.nspname || ' ' || r from pg_namespace n, unnest(array[${REQUEST_ROLES}]) as r
      where n.nspname = 'public' and has_schema_privilege(r, n.oid, 'create')`,
} as const satisfies Record<string, string>

type Rule = keyof typeof WALK
const walk = async (): Promise<Partial<Record<Rule, string[]>>> => {
  const found: Partial<Record<Rule, string[]>> = {}
  for (const rule of Object.keys(WALK) as Rule[]) {
    const wrong = await names(WALK[rule])
    if (wrong.length > 0) found[rule] = wrong
  }
  return found
}

/** A table as every tenant table is; each case of the tampering takes one thing of it away. */
const SOUND = `create table walked (tenant_id uuid not null, id uuid not null, primary key (tenant_id, id)); select wh_protect('walked')`
const FIRST: Rule = 'a table of tenants without row-level security, or where its owner passes it'

/** What each tampering is found as. */
const TAMPERED: readonly [string, Rule, string][] = [
  ['create table walked (tenant_id uuid not null, id uuid not null, primary key (tenant_id, id))', FIRST, 'walked'],
  [`${SOUND}; alter table walked no force row level security`, FIRST, 'walked'],
  [`${SOUND}; alter table walked disable row level security`, FIRST, 'walked'],
  [
    `${SOUND}; drop policy tenant on walked`,
    'a table of tenants that does not confine wh_tenant, reading and writing alike',
    'walked',
  ],
  [
    `${SOUND}; alter policy tenant on walked with check (true)`,
    'a table of tenants that does not confine wh_tenant, reading and writing alike',
    'walked',
  ],
  [
    `${SOUND}; create policy wide on walked to wh_tenant using (true)`,
    'a policy by which everybody, or wh_tenant, sees more than its own',
    'walked.wide',
  ],
  [
    `${SOUND}; create policy wide on walked using (tenant_id is not null)`,
    'a policy by which everybody, or wh_tenant, sees more than its own',
    'walked.wide',
  ],
  [
    `${SOUND}; alter policy tenant on walked using (tenant_id = (select wh_current_tenant()) or id is not null)`,
    'a policy by which everybody, or wh_tenant, sees more than its own',
    'walked.tenant',
  ],
  [
    `create table walked (id uuid primary key, tenant_id uuid not null); select wh_protect('walked')`,
    'a table of tenants whose rows may have none, or whose key does not begin with it',
    'walked',
  ],
  [
    'create table walked (id uuid primary key); grant select on walked to wh_tenant',
    'a table without a tenant that requests reach',
    'walked wh_tenant',
  ],
  [
    'create table walked (id uuid primary key); grant insert on walked to wh_reader',
    'a right of the reader to more than read',
    'walked INSERT',
  ],
  [
    `${SOUND}; grant truncate on walked to wh_tenant`,
    'a right to empty, to reference or to hang triggers on a table, which no policy confines',
    'walked wh_tenant',
  ],
  [`${SOUND}; grant select on walked to public`, 'a right of everybody', 'walked SELECT'],
  ['create view walked as select * from users', 'a view with the rights of its owner', 'walked'],
  [
    'create materialized view walked as select * from users',
    'a kept copy of rows, or a foreign table, which row-level security does not know',
    'walked',
  ],
  [
    `create function walked() returns bigint language sql security definer set search_path = public, pg_temp as 'select count(*) from users'`,
    'a function with the rights of its owner that requests may call',
    'walked wh_tenant',
  ],
  [
    `create function walked() returns bigint language sql security definer as 'select count(*) from users'; revoke all on function walked from public`,
    'a function with the rights of its owner that looks names up where others may put them',
    'walked',
  ],
  [
    `create rule walked as on insert to groups do also delete from users`,
    'a rule or a trigger that acts with rights of its own',
    'walked',
  ],
  ['grant wh_engine to wh_tenant', 'a request role that may become another', 'wh_tenant'],
  [
    'grant create on schema public to wh_tenant',
    'a request role that owns something or may make something',
    'public wh_tenant',
  ],
]

describe('row-level security', () => {
  test('there are tables to walk', async () => {
    expect((await names(`select relname as name from pg_class c where ${OURS} and ${TENANT}`)).length).toBeGreaterThan(
      40,
    )
  })

  test('the catalogue has no table, view, function, grant or role by which it is passed', async () => {
    expect(await walk()).toEqual({})
  })

  test.each(TAMPERED)('%s: is found', async (tampering, rule, name) => {
    await owner.query('begin')
    try {
      await owner.query(tampering)
      expect((await walk())[rule]).toContain(name)
    } finally {
      await owner.query('rollback')
    }
  })

  test('every rule of the walk has been seen to find something', () => {
    const seen = new Set(TAMPERED.map(([, rule]) => rule))
    const roles = 'a request role that is superuser, passes row-level security or makes roles'
    const partitions = 'a right on a partition, past its parent'
    expect(Object.keys(WALK).filter((rule) => !seen.has(rule as Rule))).toEqual([partitions, roles])
  })

  test('a right on a partition and a role with powers are found', async () => {
    await owner.query('begin')
    try {
      await owner.query(
        `create table walked (tenant_id uuid not null, at timestamptz not null, id uuid not null, primary key (tenant_id, at, id)) partition by range (at)`,
      )
      await owner.query(`select wh_protect('walked'), wh_partition('walked', '2026-01-31')`)
      expect(await walk()).toEqual({})
      await owner.query('grant select on walked_20260131 to wh_engine; alter role wh_reader bypassrls')
      expect(await walk()).toEqual({
        'a right on a partition, past its parent': ['walked_20260131'],
        'a request role that is superuser, passes row-level security or makes roles': ['wh_reader'],
      })
    } finally {
      await owner.query('rollback')
    }
  })

  test('a new partition is protected like its parent', async () => {
    await owner.query(
      `create table walked (tenant_id uuid not null, at timestamptz not null, id uuid not null, primary key (tenant_id, at, id)) partition by range (at)`,
    )
    await owner.query(`select wh_protect('walked'), wh_partition('walked', '2026-01-31')`)
    const { rows } = await owner.query(
      `select relrowsecurity and relforcerowsecurity as safe, has_table_privilege('wh_tenant', oid, 'select') as open from pg_class where relname = 'walked_20260131'`,
    )
    expect(rows).toEqual([{ safe: true, open: false }])
    await owner.query('drop table walked')
  })

  test('keeps tenants apart in practice, from reading to inserting in another’s name', async () => {
    const [one, other] = [ids.next(), ids.next()]
    await owner
      .query(`insert into tenants (id, slug, name) values ($1, 'one', 'One'), ($2, 'other', 'Other')`, [one, other])
      .catch(async () => {
        // Forced row-level security binds the owner too: go through the login path.
        await owner.query('set role wh_auth')
        await owner.query(`insert into tenants (id, slug, name) values ($1, 'one', 'One'), ($2, 'other', 'Other')`, [
          one,
          other,
        ])
        await owner.query('reset role')
      })
    const as = async (tenant: string | undefined, statement: string): Promise<unknown[]> => {
      await owner.query('begin')
      try {
        await owner.query('set local role wh_tenant')
        if (tenant !== undefined) await owner.query(`set local app.tenant = '${tenant}'`)
        return (await owner.query(statement)).rows
      } finally {
        await owner.query('rollback')
      }
    }
    const insert = (tenant: string) => `insert into groups (tenant_id, name) values ('${tenant}', 'g') returning name`
    expect(await as(one, insert(one))).toEqual([{ name: 'g' }])
    await expect(as(one, insert(other))).rejects.toMatchObject({ code: '42501' })
    await expect(as(undefined, insert(one))).rejects.toMatchObject({ code: '42501' })
    expect(await as(one, 'select slug from tenants')).toEqual([{ slug: 'one' }])
    expect(await as(undefined, 'select slug from tenants')).toEqual([])
  })
})

describe('migrations', () => {
  test('run again change nothing', async () => {
    expect(await migrate(database.url)).toEqual([])
  })

  test('that were changed after they ran stop the start', async () => {
    await owner.query(`update migrations set checksum = 'x' where name = '0001_kernel_create.sql'`)
    await expect(migrate(database.url)).rejects.toThrow(/0001_kernel_create.sql was changed/)
  })

  test('started by several at once run once', async () => {
    const fresh = await testDatabase()
    const client = new pg.Client({ connectionString: fresh.url })
    await client.connect()
    await client.query('drop schema public cascade; create schema public')
    await client.end()
    const runs = await Promise.all([1, 2, 3].map(() => migrate(fresh.url)))
    expect(runs.filter((done) => done.length > 0)).toHaveLength(1)
    await fresh.drop()
  })

  test('refuse a request role that could pass the protection', async () => {
    const fresh = await testDatabase()
    const client = new pg.Client({ connectionString: fresh.url })
    await client.connect()
    await client.query(
      'create table owned (n int); grant create on schema public to wh_reader; alter table owned owner to wh_reader',
    )
    await expect(migrate(fresh.url)).rejects.toThrow(/wh_reader could pass row-level security/)
    await client.end()
    await fresh.drop()
  })
})
