import { hash, verify } from '@node-rs/argon2'
import { Fault } from '@wheelhouse/contract'

/** The hash of a password that nobody has: comparing with it makes unknown users take as long as known ones. */
let nobody: Promise<string> | undefined

export const hashPassword = (password: string): Promise<string> => hash(password)

/** Compares in the same time whether the user exists or not. */
export async function checkPassword(password: string, stored: string | null | undefined): Promise<boolean> {
  if (stored) return verify(stored, password)
  nobody ??= hash('there is no such user')
  await verify(await nobody, password)
  return false
}

/** jobs.md §2: 12 characters with an upper-case letter, a digit and a special character. */
export function requireStrongPassword(password: string): void {
  const missing = [
    password.length < 12 && 'at least 12 characters',
    password.length > 1024 && 'at most 1024 characters',
    !/[A-Z]/.test(password) && 'an upper-case letter',
    !/\d/.test(password) && 'a digit',
    !/[^A-Za-z0-9]/.test(password) && 'a special character',
  ].filter((each) => each !== false)
  if (missing.length > 0)
    throw new Fault('VAL_SCHEMA', { field: 'password' }, { message: `password needs ${missing.join(', ')}` })
}
