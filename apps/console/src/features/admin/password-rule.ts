/** What a new password lacks (jobs.md §2), or nothing. The server judges again. */
export function passwordFault(password: string): string | undefined {
  if (password.length < 12) return 'Use at least 12 characters.'
  if (!/\p{Lu}/u.test(password)) return 'Add a capital letter.'
  if (!/\d/.test(password)) return 'Add a digit.'
  if (!/[^\p{L}\d]/u.test(password)) return 'Add a sign, such as - or !.'
  return undefined
}
