import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Id, Labels, Timestamp } from '../schemas.ts'

const Name = Type.String({ pattern: '^[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$' })

/** How another host joins: a one-time token in one line (issue section 5). */
export const join = area({
  createToken: {
    method: 'POST',
    path: '/wheelhouse/api/v1/agents/join-tokens',
    group: 'Agents',
    summary: 'A token with which one host joins within an hour, and the line to run there',
    permission: 'agent:create',
    verb: 'agent.invite',
    rate: 'native',
    creates: true,
    body: Type.Object({
      name: Type.Optional(Name),
      labels: Type.Optional(Labels),
      expiresInMinutes: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_080 })),
    }),
    reply: Type.Object({ id: Id, token: Type.String(), expiresAt: Timestamp, line: Type.String() }),
  },
  join: {
    method: 'POST',
    path: '/wheelhouse/api/v1/agents/join',
    group: 'Agents',
    summary: 'Trades a join token for the agent’s own key, once',
    permission: 'public',
    rate: 'native-auth',
    creates: true,
    body: Type.Object({
      token: Type.String({ minLength: 1, maxLength: 256 }),
      name: Type.Optional(Name),
    }),
    reply: Type.Object({
      agentId: Id,
      name: Type.String(),
      token: Type.String(),
      tenantId: Id,
      url: Type.String(),
    }),
  },
})
