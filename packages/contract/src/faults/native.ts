/** Conditions of the native surface alone. The OAuth ones carry the `error` word of RFC 6749 and RFC 8628 beside the problem. */
export const nativeFaults = {
  OAUTH_INVALID_REQUEST: { status: 400, title: 'The request for a token is not complete' },
  OAUTH_INVALID_CLIENT: { status: 401, title: 'The client’s credentials are not valid' },
  OAUTH_INVALID_GRANT: { status: 400, title: 'The grant is not valid, was used, or has expired' },
  OAUTH_UNSUPPORTED_GRANT: { status: 400, title: 'This kind of grant is not known here' },
  OAUTH_PENDING: { status: 400, title: 'The login is not confirmed yet' },
  OAUTH_SLOW_DOWN: { status: 400, title: 'Asked too often; wait longer between two questions' },
  OAUTH_DENIED: { status: 400, title: 'The login was refused' },
  OAUTH_EXPIRED: { status: 400, title: 'The login was not confirmed in time' },
  ROLE_LAST_ADMIN: { status: 409, title: 'The tenant would have no administrator left' },
} as const
