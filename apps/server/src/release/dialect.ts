import { type Dialect, pageCount } from '../kernel/http/index.ts'
import { iso } from '../kernel/clock/index.ts'

/** Refusals that only other surfaces name: here they read as the nearest code of release.md Appendix A. */
const CODES: Readonly<Record<string, { code: string; status: number }>> = {
  AUTH_LOGIN_FAILED: { code: 'AUTH_TOKEN_INVALID', status: 401 },
  PERM_CSRF: { code: 'PERM_DENIED', status: 403 },
  PERM_ORIGIN: { code: 'PERM_DENIED', status: 403 },
  PERM_TENANT: { code: 'PERM_DENIED', status: 403 },
  PERM_DISABLED: { code: 'PERM_DENIED', status: 403 },
  PERM_APPROVER: { code: 'PROM_NOT_ELIGIBLE_APPROVER', status: 403 },
  PERM_SELF_APPROVAL: { code: 'PROM_SOD_VIOLATION', status: 422 },
  POLICY_DENIED: { code: 'PERM_DENIED', status: 403 },
  POLICY_THROTTLED: { code: 'RATE_LIMIT_EXCEEDED', status: 429 },
  VAL_MEDIA_TYPE: { code: 'VAL_INVALID_JSON', status: 400 },
  JOB_NOT_FOUND: { code: 'RES_NOT_FOUND', status: 404 },
  RES_IDEMPOTENCY_IN_FLIGHT: { code: 'RES_IDEMPOTENCY_CONFLICT', status: 409 },
  AGENT_OFFLINE: { code: 'AGT_OFFLINE', status: 422 },
  AGENT_CAPABILITY_MISSING: { code: 'AGT_CAPABILITY_MISSING', status: 422 },
  EGRESS_REFUSED: { code: 'INT_CONNECTION_FAILED', status: 422 },
  EGRESS_FAILED: { code: 'INT_CONNECTION_FAILED', status: 422 },
  // 503 is documented for health probes alone; everything that fails on our side is a 500 (release.md §1).
  SYS_UNAVAILABLE: { code: 'SYS_STORAGE', status: 500 },
  SYS_SHUTTING_DOWN: { code: 'SYS_INTERNAL', status: 500 },
}

/** The manner of the release surface (release.md §1, §2): one envelope, strict bodies, a catalogue of codes. */
export const releaseDialect: Dialect = {
  surface: 'release',
  credentials: ['bearer', 'query-token', 'ticket'],
  cookies: [],
  strictBody: true,
  nullIsAbsent: false,
  createdStatus: 201,
  knowsMethodNotAllowed: true,
  lenientQuery: false,
  paging: { pageSize: ['pageSize'], defaultPageSize: 20, maxPageSize: 100, refuse: true, grammar: true },
  idempotencyConflict: 409,
  failedAuthentication: 'release-auth',
  exposedHeaders: [
    'X-RateLimit-Limit',
    'X-RateLimit-Remaining',
    'X-RateLimit-Reset',
    'X-Request-Id',
    'X-Wheelhouse-Job',
    'ETag',
  ],
  allowedHeaders: ['Content-Type', 'Authorization', 'Idempotency-Key', 'If-Match', 'Prefer', 'X-Request-Id'],
  success(value, page, { requestId, now }) {
    const meta = { requestId, timestamp: iso(now) }
    if (!page) return { success: true, data: value, meta }
    const totalPages = pageCount(page.total, page.pageSize)
    const pagination = {
      page: page.page,
      pageSize: page.pageSize,
      totalItems: page.total,
      totalPages,
      hasNext: page.page < totalPages,
      hasPrevious: page.page > 1,
    }
    return { success: true, data: page.items, meta: { pagination, ...meta } }
  },
  error(fault, { requestId, now }) {
    const { code, status } = CODES[fault.code] ?? { code: fault.code, status: fault.status }
    return {
      status,
      ...(status === 401 ? { headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' } } : {}),
      body: {
        success: false,
        error: {
          code,
          message: fault.message,
          ...(fault.details ? { details: fault.details } : {}),
          ...(fault.violations ? { validationErrors: fault.violations } : {}),
        },
        meta: { requestId, timestamp: iso(now) },
      },
    }
  },
}
