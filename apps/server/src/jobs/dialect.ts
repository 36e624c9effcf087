import type { Fault } from '@wheelhouse/contract'
import type { Dialect } from '../kernel/http/index.ts'

/** Where malformed bodies and large ones are told in other words (jobs.md §2, §3, §14). */
const ACCOUNTS = /^\/api\/v1\/(auth|users)(\/|$)/
const ARTIFACTS = /^\/api\/v1\/artifacts$/

/** The texts of jobs.md §1.3, which its dashboard and CLI show as they are. */
function text(fault: Fault, path: string): string {
  const isAccount = ACCOUNTS.test(path)
  switch (fault.code) {
    case 'AUTH_LOGIN_FAILED':
      return fault.message
    case 'PERM_DENIED': {
      const roles = fault.details?.['roles']
      const [role] = Array.isArray(roles) ? roles : []
      return typeof role === 'string' ? `role ${role} not permitted` : fault.message
    }
    case 'RATE_LIMIT_EXCEEDED':
      return fault.message === 'rate limit exceeded' ? fault.message : 'rate limited'
    case 'VAL_INVALID_JSON':
      return isAccount ? 'invalid request body' : 'invalid json'
    case 'VAL_SCHEMA':
      // The reference decodes into typed members, so one of another type is a body that it cannot read.
      return isAccount && fault.details?.['in'] === 'body' ? 'invalid request body' : fault.message
    case 'RES_ROUTE_NOT_FOUND':
    case 'RES_METHOD_NOT_ALLOWED':
      return 'not found'
    case 'VAL_BODY_TOO_LARGE':
      return ARTIFACTS.test(path) ? 'artifact too large' : 'request body too large'
    case 'SYS_INTERNAL':
      return 'internal error'
    default:
      return fault.status === 401 ? 'unauthorized' : fault.message
  }
}

/** The manner of the jobs surface (jobs.md §1): values as they are, `{error, status}` refusals, forgiving parameters. */
export const jobsDialect: Dialect = {
  surface: 'jobs',
  credentials: ['bearer', 'x-api-key', 'subprotocol', 'ticket', 'cookie'],
  cookies: ['cordum_session', 'wheelhouse_session'],
  strictBody: false,
  nullIsAbsent: true,
  createdStatus: 201,
  tenantHeader: 'X-Tenant-ID',
  knowsMethodNotAllowed: true,
  lenientQuery: true,
  paging: { pageSize: ['limit'], defaultPageSize: 50, maxPageSize: 500, refuse: false, grammar: false },
  idempotencyConflict: 409,
  exposedHeaders: ['X-Request-Id', 'X-Trace-Id', 'ETag'],
  allowedHeaders: [
    'Content-Type',
    'Authorization',
    'X-API-Key',
    'X-Tenant-ID',
    'X-Principal-Id',
    'X-Principal-Role',
    'X-Request-Id',
    'Idempotency-Key',
    'X-Idempotency-Key',
    'If-Match',
    'If-None-Match',
  ],
  success: (value, page) => (page ? { items: page.items, next_cursor: page.next } : value),
  error: (fault, { path }) => ({
    status: fault.status,
    body: {
      error: text(fault, path),
      status: fault.status,
      ...(fault.retryAfterMs === undefined ? {} : { retryable: true }),
      ...fault.extra,
    },
  }),
}
