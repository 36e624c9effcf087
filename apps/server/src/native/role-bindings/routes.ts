import { Fault } from '@wheelhouse/contract'
import { native } from '@wheelhouse/contract/native/index'
import { ids, iso, type Instant } from '../../kernel/clock/index.ts'
import { at, listPage, sql, type Tx } from '../../kernel/db/index.ts'
import { serve } from '../../kernel/http/index.ts'
import { holds, patternsOf } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'

interface Row {
  id: string
  role: string
  group: string | null
  principal: { id: string; kind: string; name: string; subject: string } | null
  createdAt: Instant
}

const columns = sql`role_bindings.id, role_bindings.role, role_bindings.group_name as "group", role_bindings.created_at as "createdAt",
  (select jsonb_build_object('id', p.id, 'kind', p.kind, 'name', p.name, 'subject', p.subject) from principals p
    where p.tenant_id = role_bindings.tenant_id and p.id = role_bindings.principal_id) as principal`

const shown = (row: Row) => ({
  id: row.id,
  role: row.role,
  group: row.group,
  principal: row.principal,
  createdAt: iso(row.createdAt),
})

const byId = (tx: Tx, id: string): Promise<Row | undefined> =>
  tx.maybe<Row>(sql`select ${columns} from role_bindings where id::text = ${id}`)

/** Who holds which role. */
export const routes = ({ identity }: Kernel) =>
  serve('native', native.roleBindings, {
    list: ({ tx, list }) =>
      listPage<Row, ReturnType<typeof shown>>(
        tx,
        native.roleBindings.list.list,
        {
          table: 'role_bindings',
          select: columns,
          columns: { group: sql.ref('role_bindings.group_name') },
          map: shown,
        },
        list,
      ),
    async create({ tx, principal, now, body, audit }) {
      const { role, principalId, group } = body
      if ((principalId === undefined) === (group === undefined))
        throw new Fault('VAL_SCHEMA', { in: 'body' }, { message: 'Name either principalId or group' })
      if (!(await tx.maybe(sql`select 1 from roles where name = ${role}`)))
        throw new Fault('VAL_SCHEMA', { field: 'role' }, { message: `There is no role ${role}` })
      if (!holds(principal, await patternsOf(tx, tx.tenantId, [role])))
        throw new Fault('PERM_DENIED', { role }, { message: `You do not hold all that ${role} grants` })
      if (
        principalId !== undefined &&
        !(await tx.maybe(sql`select 1 from principals where id::text = ${principalId} and deleted_at is null`))
      )
        throw new Fault('RES_NOT_FOUND', { kind: 'principal', id: principalId })
      const id = ids.next()
      const made = await tx.run(sql`
        insert into role_bindings (tenant_id, id, role, principal_id, group_name, created_at)
        values (${tx.tenantId}, ${id}, ${role}, ${principalId ?? null}::uuid, ${group ?? null}, ${at(now)}) on conflict do nothing`)
      if (made === 0) throw new Fault('RES_CONFLICT', { role }, { message: `${role} is held already` })
      const row = await byId(tx, id)
      if (!row) throw new Error('A binding that was just made is not there')
      audit({ resourceId: role, after: shown(row) })
      tx.afterCommit(() => identity.changed())
      return shown(row)
    },
    async remove({ tx, params, audit }) {
      const row = await byId(tx, params.id)
      if (!row) throw new Fault('RES_NOT_FOUND', { kind: 'role-binding', id: params.id })
      if (row.role === 'admin' || row.role === 'platform-admin') await requireAnotherAdmin(tx, row.id)
      await tx.run(sql`delete from role_bindings where id = ${row.id}`)
      audit({ resourceId: row.role, before: shown(row) })
      tx.afterCommit(() => identity.changed())
      return null
    },
  })

/** Locks the administrators' bindings, so that two who take each other's away do not both succeed. */
async function requireAnotherAdmin(tx: Tx, id: string): Promise<void> {
  const others = await tx.many<{ id: string }>(sql`
    select b.id from role_bindings b join principals p on p.tenant_id = b.tenant_id and p.id = b.principal_id
     where b.role in ('admin', 'platform-admin') and p.kind = 'user' and p.state = 'active' and p.deleted_at is null
     order by b.id for update of b`)
  if (!others.some((other) => other.id !== id)) throw new Fault('ROLE_LAST_ADMIN')
}
