import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Timestamp } from '../schemas.ts'
import { Perm, Permissions, RoleName, Subject, Visible } from './shapes.ts'

const Extensions = Type.Array(Type.String({ minLength: 1, maxLength: 128 }), { maxItems: 1000 })
const Description = Type.String({ maxLength: 2000 })
/** What the role grants on all surfaces (`resource:action`): an addition to the document, whose roles carry subjects alone. */
const Grants = Type.Array(Type.String({ pattern: '^(\\*|[a-z-]+:(\\*|[a-z-]+)(@non-production)?)$', maxLength: 128 }), {
  maxItems: 500,
})

const Role = Type.Object({
  name: Type.String(),
  description: Type.String(),
  permissions: Permissions,
  extensions: Type.Array(Type.String()),
  builtin: Type.Boolean(),
  grants: Type.Array(Type.String()),
})

const Group = Type.String({ minLength: 1, maxLength: 256 })

const Assignment = Type.Object({
  group: Type.String(),
  roles: Type.Array(Type.String()),
  description: Type.Optional(Type.String()),
  updated: Timestamp,
})

const Asked = Type.Object({ pub: Type.Optional(Perm), sub: Type.Optional(Perm) })

const byName = Type.Object({ name: Type.String({ minLength: 1, maxLength: 128 }) })

/** platform.md §4A.1 to 4A.3: only administrators. `symphony-admin` is what this surface calls the role `admin`. */
export const roles = area({
  listRoles: {
    method: 'GET',
    path: '/api/v1/admin/roles',
    group: 'Admin - Roles',
    summary: 'All roles by name, built-in ones included',
    permission: 'role:admin',
    rate: 'platform-std',
    reply: Type.Array(Role),
  },
  createRole: {
    method: 'POST',
    path: '/api/v1/admin/roles',
    group: 'Admin - Roles',
    summary: 'Makes a role',
    permission: 'role:admin',
    verb: 'role.create',
    rate: 'platform-std',
    body: Type.Object({
      name: RoleName,
      description: Type.Optional(Description),
      permissions: Type.Optional(Asked),
      extensions: Type.Optional(Extensions),
      grants: Type.Optional(Grants),
    }),
    reply: Role,
  },
  getRole: {
    method: 'GET',
    path: '/api/v1/admin/role/{name}',
    group: 'Admin - Roles',
    summary: 'One role',
    permission: 'role:admin',
    rate: 'platform-std',
    params: byName,
    reply: Role,
  },
  replaceRole: {
    method: 'PUT',
    path: '/api/v1/admin/role/{name}',
    group: 'Admin - Roles',
    summary: 'Replaces what a role allows; its members feel it at their next request',
    permission: 'role:admin',
    verb: 'role.update',
    rate: 'platform-std',
    params: byName,
    body: Type.Object({
      name: Type.Optional(Type.String({ maxLength: 128 })),
      description: Type.Optional(Description),
      permissions: Asked,
      extensions: Extensions,
      grants: Type.Optional(Grants),
    }),
    reply: Role,
  },
  deleteRole: {
    method: 'DELETE',
    path: '/api/v1/admin/role/{name}',
    group: 'Admin - Roles',
    summary: 'Removes a role that nothing refers to',
    permission: 'role:admin',
    verb: 'role.delete',
    rate: 'platform-std',
    params: byName,
    reply: Type.Object({ deleted: Type.String() }),
  },
  listAssignments: {
    method: 'GET',
    path: '/api/v1/admin/assignments',
    group: 'Admin - Roles',
    summary: 'Which groups hold which roles',
    permission: 'role:admin',
    rate: 'platform-std',
    reply: Type.Array(Assignment),
  },
  assign: {
    method: 'POST',
    path: '/api/v1/admin/assignments',
    group: 'Admin - Roles',
    summary: 'Gives a group its roles, in place of those it had',
    permission: 'role:admin',
    verb: 'role.assign',
    rate: 'platform-std',
    body: Type.Object({
      group: Group,
      roles: Type.Optional(Type.Array(RoleName, { minItems: 1, maxItems: 100 })),
      role: Type.Optional(RoleName),
      description: Type.Optional(Description),
    }),
    reply: Assignment,
  },
  unassign: {
    method: 'DELETE',
    path: '/api/v1/admin/assignment/{group}',
    group: 'Admin - Roles',
    summary: 'Takes all roles from a group',
    permission: 'role:admin',
    verb: 'role.unassign',
    rate: 'platform-std',
    params: Type.Object({ group: Group }),
    reply: Type.Object({ deleted: Type.String() }),
  },
  subjectRoles: {
    method: 'GET',
    path: '/api/v1/admin/user/{subject}/roles',
    group: 'Admin - Roles',
    summary: 'What a user may do, with the groups of the last login',
    permission: 'role:admin',
    rate: 'platform-std',
    params: Type.Object({ subject: Subject }),
    reply: Type.Object({
      subject: Type.String(),
      groups: Type.Array(Type.String()),
      roles: Type.Array(Type.String()),
      permissions: Permissions,
      extensions: Visible,
      admin: Type.Boolean(),
      lastSeen: Timestamp,
    }),
  },
})
