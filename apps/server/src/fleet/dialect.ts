import type { Fault, FaultCode, Page } from '@wheelhouse/contract'
import { type Dialect, pageCount, type RenderFacts } from '../kernel/http/index.ts'

const NAMES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Not Found',
  409: 'Conflict',
  413: 'Payload Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Entity',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
}

/** Conditions whose `error` member is not the name of their status (fleet.md §2). */
const LABELS: Partial<Record<FaultCode, string>> = { COMMAND_FAILED: 'Command Failed' }

const INVALID = new Set<FaultCode>([
  'VAL_SCHEMA',
  'VAL_REQUIRED',
  'VAL_UNKNOWN_FIELD',
  'VAL_INVALID_PAGINATION',
  'VAL_INVALID_RANGE',
])

/** The groups whose document answers 400 where the others answer 422 (fleet.md §2, error tags V400 and V422). */
const ANSWERS_400 = /^\/api\/v1\/(alerts|costs|drift|extensions|secrets|me|admin\/extensions|logs\/stream)(\/|$)/

/** fleet.md, error tags: an id that cannot be one is 400, a body or query that does not fit is 422 with `details` by field. */
function validation(fault: Fault, path: string): { status: number; error: string; details: unknown } {
  const fieldErrors: Record<string, string[]> = {}
  const formErrors: string[] = []
  for (const { field, message } of fault.violations ?? []) {
    if (field === '') formErrors.push(message)
    else (fieldErrors[field.split(/[.[]/)[0] ?? field] ??= []).push(message)
  }
  const is422 = fault.details?.['in'] !== 'params' && !ANSWERS_400.test(path)
  return {
    status: is422 ? 422 : 400,
    error: is422 ? 'Validation Error' : 'Bad Request',
    details: { formErrors, fieldErrors },
  }
}

const paging = ({ page, pageSize, total }: Page<unknown>) => ({
  page,
  limit: pageSize,
  pageSize,
  total,
  totalPages: pageCount(total, pageSize),
})

function message(fault: Fault): string {
  if (fault.code === 'PERM_DENIED' && typeof fault.details?.['floor'] === 'string') {
    return `This action requires the ${fault.details['floor']} role or higher`
  }
  if (fault.code === 'AUTH_API_KEY_INVALID') return 'Invalid API key'
  if (fault.code === 'AUTH_TOKEN_EXPIRED') return 'API key has expired'
  if (fault.code === 'SYS_INTERNAL') return 'An unexpected error occurred'
  return fault.message
}

/** The manner of the fleet surface (fleet.md §1): superset envelopes on lists, `{error, message, statusCode}` refusals. */
export const fleetDialect: Dialect = {
  surface: 'fleet',
  credentials: ['ticket', 'bearer', 'x-api-key', 'query-apiKey', 'cookie'],
  cookies: ['wheelhouse_session', 'cordum_session'],
  strictBody: false,
  nullIsAbsent: false,
  createdStatus: 201,
  knowsMethodNotAllowed: false,
  lenientQuery: false,
  paging: { pageSize: ['pageSize', 'limit'], defaultPageSize: 20, maxPageSize: 100, refuse: true, grammar: false },
  idempotencyConflict: 409,
  exposedHeaders: [
    'X-RateLimit-Limit',
    'X-RateLimit-Remaining',
    'X-RateLimit-Reset',
    'X-Wheelhouse-Job',
    'X-Total-Exact',
  ],
  allowedHeaders: ['Content-Type', 'Authorization', 'X-Api-Key', 'X-Instance-ID'],
  success(value, page, { endpoint }: RenderFacts) {
    if (!page) return value
    const { key, flat } = endpoint?.list ?? {}
    return {
      ...(key === undefined ? {} : { [key]: page.items }),
      data: page.items,
      pagination: paging(page),
      ...(flat ? paging(page) : {}),
    }
  },
  error(fault, { path }) {
    const checked = INVALID.has(fault.code) ? validation(fault, path) : undefined
    const status = checked?.status ?? (fault.status === 405 ? 404 : fault.status)
    return {
      status,
      body: {
        error: checked?.error ?? LABELS[fault.code] ?? NAMES[status] ?? 'Error',
        message: message(fault),
        statusCode: status,
        ...(checked ? { details: checked.details } : {}),
        ...(status === 429 ? { retryAfter: Math.max(1, Math.ceil((fault.retryAfterMs ?? 1000) / 1000)) } : {}),
        ...(fault.code === 'POLICY_DENIED' && fault.details ? { details: fault.details } : {}),
        ...fault.extra,
      },
    }
  },
}
