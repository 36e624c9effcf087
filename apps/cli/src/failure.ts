import { ApiError } from '@wheelhouse/sdk'
import { CliError, EXIT } from './exit.ts'

export interface Failure {
  exitCode: number
  /** What happened, in one line. */
  message: string
  /** Facts that help, one a line. */
  facts: string[]
  /** What to do about it. */
  next: string | undefined
}

/** What a person is told about an error, and the exit code that scripts see. */
export function failureOf(error: unknown, url?: string): Failure {
  if (error instanceof CliError)
    return { exitCode: error.exitCode, message: error.message, facts: [], next: error.next }
  if (error instanceof ApiError) return refusal(error)
  const unreachable = connectionFault(error)
  if (unreachable)
    return {
      exitCode: EXIT.failed,
      message: `${url ?? 'The server'} does not answer: ${unreachable}`,
      facts: [],
      next: 'Is it running? `npm start` starts one on this machine; `wheelhouse context list` shows which one is meant.',
    }
  return {
    exitCode: EXIT.failed,
    message: error instanceof Error ? error.message : String(error),
    facts: [],
    next: undefined,
  }
}

function refusal(error: ApiError): Failure {
  const { status } = error
  const facts = factsOf(error)
  const made = (exitCode: number, next?: string): Failure => ({ exitCode, message: error.message, facts, next })
  if (isDenial(error))
    return { ...made(EXIT.denied), next: 'Ask whoever owns the policy, or see `wheelhouse policy check --help`.' }
  if (error.code === 'PERM_SELF_APPROVAL') return made(EXIT.denied, 'Another person must decide.')
  switch (status) {
    case 401:
      return made(EXIT.auth, 'Log in again: `wheelhouse login`.')
    case 403:
      return made(EXIT.auth, '`wheelhouse whoami` shows what your credential may do; an administrator can grant more.')
    case 404:
      return made(EXIT.notFound)
    case 408:
    case 504:
      return made(EXIT.timeout)
    case 409:
    case 412:
      return made(EXIT.conflict)
    case 429:
      return made(EXIT.failed, `Try again in ${Math.ceil((error.retryAfterMs ?? 60_000) / 1000)} s.`)
    default:
      return made(EXIT.failed, status >= 500 ? 'The server’s log tells more.' : undefined)
  }
}

const membersOf = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}

/** Policy refuses with 403 on every surface; surfaces without codes show the rule beside the message. */
const isDenial = (error: ApiError): boolean =>
  error.code === 'POLICY_DENIED' || (error.status === 403 && membersOf(error.details)['rule'] !== undefined)

function factsOf(error: ApiError): string[] {
  const facts: string[] = []
  const details = membersOf(error.details)
  const body = membersOf(error.body)
  for (const each of Array.isArray(error.details) ? error.details : []) {
    const { field, message } = membersOf(each)
    if (typeof message === 'string') facts.push(typeof field === 'string' && field ? `${field}: ${message}` : message)
  }
  // Fleet: details by field.
  for (const [field, messages] of Object.entries(membersOf(details['fieldErrors'])))
    if (Array.isArray(messages)) facts.push(...messages.map((message) => `${field}: ${String(message)}`))
  if (Array.isArray(details['formErrors'])) facts.push(...details['formErrors'].map(String))
  for (const name of ['rule', 'why', 'reason', 'required', 'jobId']) {
    const value = details[name] ?? body[name]
    if (typeof value === 'string' && value !== '' && value !== error.message) facts.push(`${name}: ${value}`)
  }
  if (error.status >= 500 && error.requestId) facts.push(`request: ${error.requestId}`)
  return facts
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'the name is unknown',
  EAI_AGAIN: 'the name cannot be looked up now',
  ECONNRESET: 'the connection was cut',
  ETIMEDOUT: 'it took too long',
  UND_ERR_CONNECT_TIMEOUT: 'it took too long',
  UND_ERR_SOCKET: 'the connection was cut',
  UND_ERR_HEADERS_TIMEOUT: 'it took too long',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed (NODE_EXTRA_CA_CERTS names your own authority)',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is self-signed (NODE_EXTRA_CA_CERTS names your own authority)',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is of an unknown authority (NODE_EXTRA_CA_CERTS names your own)',
  CERT_HAS_EXPIRED: 'its certificate has expired',
}

/** Why a request could not even be made; undefined when this is no such error. */
function connectionFault(error: unknown): string | undefined {
  if (!(error instanceof TypeError) || error.message !== 'fetch failed') return undefined
  const cause = error.cause as { code?: string; message?: string; errors?: { code?: string }[] } | undefined
  const code = cause?.code ?? cause?.errors?.[0]?.code
  return (code && REASONS[code]) ?? cause?.message ?? 'the connection failed'
}
