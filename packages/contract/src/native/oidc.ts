import { Type } from 'typebox'
import { area } from '../endpoint.ts'

const Text = Type.String({ maxLength: 4096 })

/** Single sign-on of the console (platform.md §7): two redirects and a cookie. */
export const oidc = area({
  start: {
    kind: 'raw',
    method: 'GET',
    path: '/wheelhouse/api/v1/oidc/start',
    group: 'Single sign-on',
    summary: 'Sends the browser to the OpenID provider; afterwards to `redirect`, a path of ours',
    permission: 'public',
    rate: 'native-auth',
    status: 302,
    query: Type.Object({ redirect: Type.Optional(Type.String({ maxLength: 2048 })) }),
    faults: ['CONFIG_MISSING'],
    reply: Type.Unknown(),
  },
  callback: {
    kind: 'raw',
    method: 'GET',
    path: '/wheelhouse/api/v1/oidc/callback',
    group: 'Single sign-on',
    summary: 'Where the provider sends the browser back to; sets the session’s cookie',
    permission: 'public',
    rate: 'native-auth',
    status: 302,
    query: Type.Object({
      code: Type.Optional(Text),
      state: Type.Optional(Text),
      error: Type.Optional(Text),
      error_description: Type.Optional(Text),
      iss: Type.Optional(Text),
      session_state: Type.Optional(Text),
    }),
    faults: ['CONFIG_MISSING'],
    reply: Type.Unknown(),
  },
})
