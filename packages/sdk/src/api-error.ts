/** A refusal, read from whichever of the surfaces' error shapes it came in. */
export class ApiError extends Error {
  readonly status: number
  /** The catalogue's code where the surface sends one. */
  readonly code: string | undefined
  readonly requestId: string | undefined
  readonly retryAfterMs: number | undefined
  readonly details: unknown
  readonly body: unknown

  constructor(
    status: number,
    message: string,
    facts: { code?: string; requestId?: string; retryAfterMs?: number; details?: unknown; body: unknown },
  ) {
    super(message)
    this.name = 'ApiError'
    this.status = status
    this.code = facts.code
    this.requestId = facts.requestId
    this.retryAfterMs = facts.retryAfterMs
    this.details = facts.details
    this.body = facts.body
  }
}

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)

/** release: `error.code, error.message`; fleet: `message`; native: `title, code`; platform and jobs: `error`. */
export function readError(response: Response, body: unknown): ApiError {
  const members = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {}
  const inner =
    typeof members['error'] === 'object' && members['error'] !== null
      ? (members['error'] as Record<string, unknown>)
      : {}
  const message =
    text(inner['message']) ??
    text(members['message']) ??
    text(members['title']) ??
    text(members['error']) ??
    text(body) ??
    `The server answered ${response.status}`
  const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN)
  const requestId = response.headers.get('x-request-id')
  const code = text(inner['code']) ?? text(members['code'])
  return new ApiError(response.status, message, {
    ...(code === undefined ? {} : { code }),
    ...(requestId === null ? {} : { requestId }),
    ...(Number.isFinite(retryAfter) ? { retryAfterMs: retryAfter * 1000 } : {}),
    details: inner['details'] ?? inner['validationErrors'] ?? members['details'] ?? members['violations'],
    body,
  })
}
