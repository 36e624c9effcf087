/** Why a subject pattern is not valid (platform.md §8.2), as a sentence for the caller; undefined when it is. */
export function subjectProblem(pattern: string): string | undefined {
  if (pattern === '') return 'a subject must not be empty'
  if (Buffer.byteLength(pattern) > 255) return 'a subject has at most 255 bytes'
  if (/[\s\p{Cc}]/u.test(pattern)) return 'a subject holds no blanks and no control characters'
  const tokens = pattern.split('.')
  for (const [index, token] of tokens.entries()) {
    if (token === '') return 'a subject has no empty token'
    if (token.length > 1 && /[*>]/.test(token)) return 'wildcards stand only as whole tokens'
    if (token === '>' && index < tokens.length - 1) return '> stands only at the end'
  }
  return undefined
}

/** Why a subscribe entry, `subject` or `subject queue`, is not valid; undefined when it is (platform.md §8.2). */
export function subscriptionProblem(entry: string): string | undefined {
  const [subject = '', queue, ...rest] = entry.split(' ')
  if (rest.length > 0) return 'a subscribe entry is a subject and at most one queue group'
  return subjectProblem(subject) ?? (queue === undefined ? undefined : subjectProblem(queue))
}

/**
 * Whether the ceiling pattern covers the asked one, token by token: `>` covers anything non-empty, `*` a literal or `*` but
 * not `>` (platform.md §8.3). An asked literal subject makes this a match.
 */
export function covers(ceiling: string, asked: string): boolean {
  const limits = ceiling.split('.')
  const tokens = asked.split('.')
  for (const [index, limit] of limits.entries()) {
    const token = tokens[index]
    if (token === undefined) return false
    if (limit === '>') return true
    if (limit === '*' ? token === '>' : limit !== token) return false
  }
  return limits.length === tokens.length
}

/** Whether some subject matches both patterns. */
export function overlaps(one: string, other: string): boolean {
  const left = one.split('.')
  const right = other.split('.')
  for (let index = 0; ; index++) {
    const a = left[index]
    const b = right[index]
    if (a === undefined || b === undefined) return a === b
    if (a === '>' || b === '>') return true
    if (a !== '*' && b !== '*' && a !== b) return false
  }
}

/** One subject token from an id. Throws when the id could change the subject's meaning (dots, wildcards, blanks). */
export function token(id: string): string {
  if (!/^[\w-]{1,128}$/.test(id)) throw new Error('this id cannot be a subject token')
  return id
}
