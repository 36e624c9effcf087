import type { Dialect } from './dialect.ts'

/** The manner of our own endpoints: RFC 9457 problems, opaque cursors (product.md, native conventions). */
export const nativeDialect: Dialect = {
  surface: 'native',
  credentials: ['bearer', 'x-api-key', 'cookie', 'ticket'],
  cookies: ['cordum_session', 'wheelhouse_session'],
  strictBody: true,
  nullIsAbsent: false,
  createdStatus: 201,
  knowsMethodNotAllowed: true,
  lenientQuery: false,
  paging: { pageSize: ['pageSize', 'limit'], defaultPageSize: 50, maxPageSize: 500, refuse: true, grammar: true },
  idempotencyConflict: 422,
  exposedHeaders: ['X-Request-Id', 'X-Wheelhouse-Job', 'X-Total-Exact', 'ETag'],
  allowedHeaders: [
    'Content-Type',
    'Authorization',
    'X-Api-Key',
    'X-Request-Id',
    'Idempotency-Key',
    'If-Match',
    'X-Wheelhouse-Surface',
  ],
  success: (value, page) => (page ? { items: page.items, total: page.total, next: page.next } : value),
  error(fault, { requestId, path }) {
    return {
      status: fault.status,
      contentType: 'application/problem+json',
      body: {
        type: `https://wheelhouse.dev/problems/${fault.code.toLowerCase().replaceAll('_', '-')}`,
        title: fault.message,
        status: fault.status,
        code: fault.code,
        instance: path,
        requestId,
        ...(fault.details ? { details: fault.details } : {}),
        ...(fault.violations ? { violations: fault.violations } : {}),
        ...fault.extra,
      },
    }
  },
}
