import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Id, Nullable, OneOf, Timestamp } from '../schemas.ts'

const State = Type.Object({ id: Id, state: Type.Union([Type.Literal('active'), Type.Literal('frozen')]) })

const KINDS = ['user', 'key', 'agent', 'extension', 'worker', 'service', 'system'] as const
const Named = Type.Object({ id: Id, kind: OneOf(KINDS), name: Type.String(), subject: Type.String() })

const Principal = Type.Object({
  ...Named.properties,
  state: OneOf(['active', 'frozen']),
  /** The person or service that it belongs to; null for those who belong to nobody. */
  owner: Nullable(Named),
  createdAt: Timestamp,
})

/** The stop button of whoever acts: people, keys, agents (product.md). */
export const principals = area({
  list: {
    method: 'GET',
    path: '/wheelhouse/api/v1/principals',
    group: 'Principals',
    summary: 'Everyone and everything that may act in the tenant',
    permission: 'principal:read',
    rate: 'native',
    list: {
      fields: {
        kind: { type: 'text', sort: true, filter: true },
        name: { type: 'text', sort: true, filter: true },
        subject: { type: 'text', sort: true, filter: true },
        state: { type: 'text', sort: true, filter: true },
        ownerId: { type: 'uuid', filter: true, nullable: true },
        createdAt: { type: 'time', sort: true, filter: true },
      },
      default: 'name',
    },
    reply: Principal,
  },
  get: {
    method: 'GET',
    path: '/wheelhouse/api/v1/principals/{id}',
    group: 'Principals',
    summary: 'One principal: its owner, its roles, what belongs to it, and what it has under way',
    permission: 'principal:read',
    rate: 'native',
    params: Type.Object({ id: Id }),
    reply: Type.Object({
      ...Principal.properties,
      roles: Type.Array(Type.String()),
      /** Whom it acts for when nothing else is said, nearest first. */
      chain: Type.Array(Named),
      /** Keys and processes of its own; at most 200. */
      owns: Type.Array(Type.Object({ ...Named.properties, state: OneOf(['active', 'frozen']) })),
      /** Its jobs that have not ended, its own and those that others do on its behalf. */
      jobs: Type.Object({
        waiting: Type.Integer(),
        held: Type.Integer(),
        running: Type.Integer(),
        frozen: Type.Integer(),
        onBehalf: Type.Integer(),
      }),
      lastSeenAt: Nullable(Timestamp),
    }),
    faults: ['RES_NOT_FOUND'],
  },
  freeze: {
    method: 'POST',
    path: '/wheelhouse/api/v1/principals/{id}/freeze',
    group: 'Principals',
    summary:
      'Ends all sessions, keys and connections of a principal within a second; its waiting jobs stop, its running ones are cancelled',
    permission: 'principal:admin',
    verb: 'principal.freeze',
    rate: 'native',
    transaction: 'none',
    status: 200,
    params: Type.Object({ id: Id }),
    reply: State,
  },
  thaw: {
    method: 'POST',
    path: '/wheelhouse/api/v1/principals/{id}/thaw',
    group: 'Principals',
    summary: 'Lets a frozen principal act again; its keys count and its waiting jobs go on, its sessions stay ended',
    permission: 'principal:admin',
    verb: 'principal.thaw',
    rate: 'native',
    transaction: 'none',
    status: 200,
    params: Type.Object({ id: Id }),
    reply: State,
  },
})
