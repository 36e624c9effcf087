import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Id } from '../schemas.ts'

const State = Type.Object({ id: Id, state: Type.Union([Type.Literal('active'), Type.Literal('frozen')]) })

/** The stop button of whoever acts: people, keys, agents (product.md). */
export const principals = area({
  freeze: {
    method: 'POST',
    path: '/wheelhouse/api/v1/principals/{id}/freeze',
    group: 'Principals',
    summary: 'Ends all sessions, keys and connections of a principal within a second',
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
    summary: 'Lets a frozen principal act again; its keys count, its sessions stay ended',
    permission: 'principal:admin',
    verb: 'principal.thaw',
    rate: 'native',
    transaction: 'none',
    status: 200,
    params: Type.Object({ id: Id }),
    reply: State,
  },
})
