import { Fault, type Violation } from '@wheelhouse/contract'
import { MASKED } from '@wheelhouse/contract/release/shapes'
import { CONNECTION_SECRETS, CONNECTIONS, type TargetType } from '@wheelhouse/contract/release/targets'
import { validate } from '../../kernel/http/index.ts'
import { refuseBody } from '../resource.ts'

type Members = Record<string, unknown>

/** A connection as it is stored and shown: its secrets apart, masked in their place. */
export interface StoredConnection {
  connection: Members
  /** By their path within the connection. */
  secrets: Readonly<Record<string, string>>
}

/**
 * Checks a connection against its type's schema (release.md §6.3) and takes its secrets out. With `stored`, the given members change
 * the stored ones, null takes one away, and `***` keeps a secret.
 */
export function readConnection(type: TargetType, given: Members, stored?: StoredConnection): StoredConnection {
  const whole = stored ? merged(stored.connection, given) : structuredClone(given)
  const lost: Violation[] = []
  for (const path of CONNECTION_SECRETS[type]) {
    if (read(whole, path) !== MASKED) continue
    const kept = stored?.secrets[path]
    if (kept === undefined)
      lost.push({ field: `connection.${path}`, message: 'keeps what is stored, but nothing is', code: 'pattern' })
    else write(whole, path, kept)
  }
  const [first, ...more] = lost
  if (first) refuseBody(first, ...more)
  const checked = checkedConnection(type, whole)
  const secrets: Record<string, string> = {}
  for (const path of CONNECTION_SECRETS[type]) {
    const secret = read(checked, path)
    if (typeof secret !== 'string') continue
    secrets[path] = secret
    write(checked, path, MASKED)
  }
  return { connection: checked, secrets }
}

/** The connection with its secrets in their place; never leaves the server. */
export function withSecrets({ connection, secrets }: StoredConnection): Members {
  const whole = structuredClone(connection)
  for (const [path, secret] of Object.entries(secrets)) write(whole, path, secret)
  return whole
}

function checkedConnection(type: TargetType, whole: Members): Members {
  try {
    return validate(CONNECTIONS[type], whole, 'body', true) as Members
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    throw new Fault(error.code, error.details, {
      message: `connection: ${error.message}`,
      violations: error.violations?.map((each) => ({
        ...each,
        field: each.field === '' ? 'connection' : `connection.${each.field}`,
      })),
    })
  }
}

const isObject = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function merged(stored: Members, given: Members): Members {
  const whole = structuredClone(stored)
  for (const [key, value] of Object.entries(given)) {
    const before = whole[key]
    if (value === null) delete whole[key]
    else whole[key] = isObject(value) && isObject(before) ? merged(before, value) : value
  }
  return whole
}

function read(whole: Members, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => (isObject(value) ? value[key] : undefined), whole)
}

function write(whole: Members, path: string, secret: string): void {
  const keys = path.split('.')
  const last = keys.pop() ?? ''
  const holder = keys.reduce<unknown>((value, key) => (isObject(value) ? value[key] : undefined), whole)
  if (isObject(holder)) holder[last] = secret
}
