import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { OneOf } from '../schemas.ts'

const group = 'Single sign-on'
const shared = { kind: 'raw', group, permission: 'public', beyondDocument: true } as const

/**
 * Single sign-on by SAML 2.0 (jobs.md §2). The provider's page posts its answer to `samlAnswer`, without our cookies; what came of it is
 * taken up by `samlSession`, to which the browser that began brings its own.
 */
export const sso = area({
  samlLogin: {
    ...shared,
    method: 'GET',
    path: '/api/v1/auth/sso/saml/login',
    rate: 'jobs-public',
    summary: 'Sends the browser to the SAML provider; afterwards to `redirect`, a path of ours, with the session',
    status: 302,
    query: Type.Object({
      redirect: Type.Optional(Type.String({ maxLength: 2048 })),
      session: Type.Optional(
        OneOf(['fragment', 'cookie'], {
          description:
            'How the session is handed over: in the fragment of `redirect`, or as a cookie that no script reads',
        }),
      ),
    }),
    faults: ['RES_NOT_FOUND', 'EGRESS_FAILED'],
    reply: Type.Unknown(),
  },
  samlAnswer: {
    ...shared,
    method: 'POST',
    path: '/api/v1/auth/sso/saml/acs',
    rate: 'sso-answer',
    summary: 'Where the provider’s page posts its answer (assertion consumer service)',
    // The session that comes of it is written to the trail when it is opened.
    verb: null,
    status: 303,
    form: true,
    bodyLimitBytes: 256 * 1024,
    body: Type.Object({
      SAMLResponse: Type.Optional(Type.String({ maxLength: 200_000 })),
      RelayState: Type.Optional(Type.String({ maxLength: 512 })),
    }),
    faults: ['RES_NOT_FOUND'],
    reply: Type.Unknown(),
  },
  samlSession: {
    ...shared,
    method: 'GET',
    path: '/api/v1/auth/sso/saml/session',
    rate: 'jobs-public',
    summary: 'Opens the session, for the browser that began the login alone',
    status: 302,
    query: Type.Object({ ticket: Type.Optional(Type.String({ maxLength: 512 })) }),
    faults: ['RES_NOT_FOUND'],
    reply: Type.Unknown(),
  },
  samlMetadata: {
    ...shared,
    method: 'GET',
    path: '/api/v1/auth/sso/saml/metadata',
    rate: 'jobs-public',
    summary: 'What the SAML provider is told of us',
    produces: 'application/samlmetadata+xml',
    faults: ['RES_NOT_FOUND'],
    reply: Type.Unknown(),
  },
})
