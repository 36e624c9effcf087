import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Id, Nullable, Timestamp } from '../schemas.ts'

const Binding = Type.Object({
  id: Id,
  role: Type.String(),
  group: Nullable(Type.String()),
  principal: Nullable(Type.Object({ id: Id, kind: Type.String(), name: Type.String(), subject: Type.String() })),
  createdAt: Timestamp,
})

/** Who holds which role, person by person and group by group. Assignments of groups are also platform.md §4A.2. */
export const roleBindings = area({
  list: {
    method: 'GET',
    path: '/wheelhouse/api/v1/role-bindings',
    group: 'Roles',
    summary: 'Bindings of roles to users, keys, agents and groups',
    permission: 'role:admin',
    rate: 'native',
    list: {
      fields: {
        role: { type: 'text', sort: true, filter: true },
        group: { type: 'text', filter: true, nullable: true },
        principalId: { type: 'uuid', filter: true, nullable: true },
        createdAt: { type: 'time', sort: true, filter: true },
      },
      default: 'role',
    },
    reply: Binding,
  },
  create: {
    method: 'POST',
    path: '/wheelhouse/api/v1/role-bindings',
    group: 'Roles',
    summary: 'Gives a principal or a group a role; nobody gives more than they hold',
    permission: 'role:admin',
    verb: 'role.bind',
    rate: 'native',
    creates: true,
    body: Type.Object({
      role: Type.String({ minLength: 1, maxLength: 63 }),
      principalId: Type.Optional(Id),
      group: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    }),
    reply: Binding,
  },
  remove: {
    method: 'DELETE',
    path: '/wheelhouse/api/v1/role-bindings/{id}',
    group: 'Roles',
    summary: 'Takes a role away; the last administrator keeps theirs',
    permission: 'role:admin',
    verb: 'role.unbind',
    rate: 'native',
    params: Type.Object({ id: Id }),
    status: 204,
    reply: Type.Null(),
  },
})
