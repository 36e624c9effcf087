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

/** Tables of ours; the schema of the scheduler library, if there is one, holds ids only (decisions D6). */
const OURS = `c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')`

describe('row-level security', () => {
  test('there are tables to walk', async () => {
    expect((await names(`select relname as name from pg_class c where ${OURS}`)).length).toBeGreaterThan(20)
  })

  test('is enabled and forced on every table that has a tenant', async () => {
    expect(
      await names(`
        select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
         where ${OURS} and not (c.relrowsecurity and c.relforcerowsecurity)`),
    ).toEqual([])
  })

  test('confines wh_tenant to the transaction’s tenant for reading and writing alike', async () => {
    expect(
      await names(`
        select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
         where ${OURS} and not c.relispartition and not exists (
           select from pg_policies p where p.tablename = c.relname and p.schemaname = 'public' and p.roles @> '{wh_tenant}' and p.cmd = 'ALL'
              and p.qual like '%tenant_id = ( SELECT wh_current_tenant()%' and p.with_check like '%tenant_id = ( SELECT wh_current_tenant()%')`),
    ).toEqual([])
  })

  test('has no policy by which everybody, or wh_tenant, sees everything', async () => {
    expect(
      await names(`
        select tablename || '.' || policyname as name from pg_policies
         where schemaname = 'public' and (roles @> '{public}' or (roles @> '{wh_tenant}' and (qual = 'true' or with_check = 'true')))`),
    ).toEqual([])
  })

  test('lets the reader only read', async () => {
    expect(
      await names(`
        select distinct table_name || ' ' || privilege_type as name from information_schema.role_table_grants
         where grantee = 'wh_reader' and privilege_type <> 'SELECT'`),
    ).toEqual([])
  })

  test('is passed by no request role: none is superuser, bypasses it, owns a table or may become one that does', async () => {
    expect(
      await names(
        `select rolname as name from pg_roles where rolname in (${REQUEST_ROLES}) and (rolsuper or rolbypassrls or rolcreaterole)`,
      ),
    ).toEqual([])
    expect(
      await names(
        `select c.relname as name from pg_class c join pg_roles r on r.oid = c.relowner where ${OURS} and r.rolname in (${REQUEST_ROLES})`,
      ),
    ).toEqual([])
    expect(
      await names(`
        select m.rolname as name from pg_auth_members am join pg_roles m on m.oid = am.member where m.rolname in (${REQUEST_ROLES})`),
    ).toEqual([])
  })

  test('stands on tables without a tenant only where they are the installation’s', async () => {
    expect(
      await names(`
        select c.relname as name from pg_class c
         where ${OURS} and not exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped)
           and has_table_privilege('wh_tenant', c.oid, 'select') order by 1`),
    ).toEqual(['installation', 'tenants'])
  })

  test('is not gone round by a grant on a partition, nor by a view with its owner’s rights', async () => {
    expect(
      await names(`
        select c.relname as name from pg_class c, unnest(array[${REQUEST_ROLES}]) as r
         where c.relispartition and c.relnamespace = 'public'::regnamespace
           and (has_table_privilege(r, c.oid, 'select') or has_table_privilege(r, c.oid, 'insert') or has_table_privilege(r, c.oid, 'update') or has_table_privilege(r, c.oid, 'delete'))`),
    ).toEqual([])
    expect(
      await names(`
        select c.relname as name from pg_class c
         where c.relkind = 'v' and c.relnamespace = 'public'::regnamespace and not coalesce(c.reloptions @> '{security_invoker=true}', false)`),
    ).toEqual([])
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
