import { type Dialect } from '../kernel/http/index.ts'

/** platform.md §1.2: what each status says by default; only 401's text is documented. */
const TEXT: Readonly<Record<number, string>> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not found',
  413: 'Request body too large',
  429: 'Too many requests',
  500: 'Internal error',
}

/** The status table of platform.md §1.2 knows no 405, 409, 415 and 422: they read as 400 (405 as 404). */
const STATUS: Readonly<Record<number, number>> = { 405: 404, 409: 400, 415: 400, 422: 400 }

/** The manner of the platform surface: values as they are, `{error}` refusals, 200 for everything that worked. */
export const platformDialect: Dialect = {
  surface: 'platform',
  credentials: ['bearer', 'ticket'],
  cookies: [],
  strictBody: false,
  carefulJson: true,
  nullIsAbsent: false,
  createdStatus: 200,
  knowsMethodNotAllowed: false,
  lenientQuery: false,
  paging: { pageSize: ['limit'], defaultPageSize: 100, maxPageSize: 1000, refuse: true, grammar: false },
  idempotencyConflict: 409,
  exposedHeaders: ['X-Request-Id'],
  allowedHeaders: ['Content-Type', 'Authorization'],
  success: (value, page) => (page ? page.items : value),
  error(fault) {
    const status = STATUS[fault.status] ?? fault.status
    const text = TEXT[status]
    return { status, body: { error: text ?? fault.message, ...fault.extra } }
  },
}
