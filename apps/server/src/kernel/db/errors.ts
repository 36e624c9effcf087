import { Fault } from '@wheelhouse/contract'

const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''

/** The name of the constraint or unique index that a statement hit, or ''. */
export const violatedConstraint = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'constraint' in error ? String(error.constraint ?? '') : ''

/** A unique key was hit; with `name`, that very one. */
export const isUniqueViolation = (error: unknown, name?: string): boolean =>
  codeOf(error) === '23505' && (name === undefined || violatedConstraint(error) === name)

export const isDeadlock = (error: unknown): boolean => codeOf(error) === '40P01' || codeOf(error) === '40001'

/** The database is away, starting or shutting down: the caller may try again, nothing was committed that it was told of. */
export function isUnavailable(error: unknown): boolean {
  const code = codeOf(error)
  if (['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOENT', 'ETIMEDOUT', 'ENOTFOUND'].includes(code)) return true
  if (code.startsWith('08') || ['57P01', '57P02', '57P03', '53300'].includes(code)) return true
  return (
    error instanceof Error &&
    /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error/.test(
      error.message,
    )
  )
}

/** What transactions throw while the database is away. A verb's own refused connection is none. */
export const isDatabaseAway = (error: unknown): boolean =>
  error instanceof Fault && error.code === 'SYS_UNAVAILABLE' && error.details?.['part'] === 'database'
