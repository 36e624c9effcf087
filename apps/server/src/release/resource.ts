import { Fault, type Violation } from '@wheelhouse/contract'
import { sql, type Statement } from '../kernel/db/index.ts'
import type { ReplyControls, RequestFacts } from '../kernel/http/index.ts'

/** Sends the resource's version as its ETag (release.md §1). */
export function stamp<T extends { version: number }>(reply: ReplyControls, resource: T): T {
  reply.header('ETag', `"${resource.version}"`)
  return resource
}

/** Refuses a change that was thought of for another version of the resource (release.md §1: 409, never 412). */
export function requireVersion(request: RequestFacts, version: number): void {
  const wanted = request.header('if-match')
  if (wanted === undefined || wanted.trim() === '*') return
  const tags = wanted.split(',').map((tag) => tag.trim())
  if (!tags.includes(`"${version}"`)) throw new Fault('RES_VERSION_CONFLICT', { current: version, given: wanted })
}

/** What a deletion answers: its data, or nothing at all when the caller prefers so (release.md §1). */
export function deleted(request: RequestFacts, reply: ReplyControls): { deleted: true } {
  if (/(^|[,;\s])return=minimal($|[,;\s])/.test(request.header('prefer') ?? '')) reply.status(204)
  return { deleted: true }
}

/** Refuses a body for what only its meaning shows, in the words of a schema violation. */
export function refuseBody(...violations: [Violation, ...Violation[]]): never {
  const [first] = violations
  throw new Fault(
    'VAL_SCHEMA',
    { in: 'body' },
    { message: `${first.field} ${first.message}`, violations: violations.sort((a, b) => (a.field < b.field ? -1 : 1)) },
  )
}

/** An id inside a body that is not one of this tenant's (release.md §3.2). */
export const noSuch = (field: string, what: string): Violation => ({
  field,
  message: `names no ${what}`,
  code: 'reference',
})

/** A query parameter of words, repeated or separated by commas: any of them (release.md §2). */
export function anyOf<const T extends string>(
  given: readonly string[] | undefined,
  words: readonly T[],
  name: string,
): T[] | undefined {
  const values = given?.flatMap((each) => each.split(',')).filter((each) => each !== '')
  if (!values || values.length === 0) return undefined
  const isWord = (value: string): value is T => (words as readonly string[]).includes(value)
  const known = values.filter(isWord)
  if (known.length === values.length) return known
  throw new Fault(
    'VAL_SCHEMA',
    { in: 'query' },
    {
      message: `${name} must be one of ${words.join(', ')}`,
      violations: [{ field: name, message: `must be one of ${words.join(', ')}`, code: 'enum' }],
    },
  )
}

/** The same for parameters whose values are no closed set. */
export const listed = (given: readonly string[] | undefined): string[] | undefined => {
  const values = given?.flatMap((each) => each.split(',')).filter((each) => each !== '')
  return values && values.length > 0 ? values : undefined
}

/** `key:value`, repeatable: all must hold (release.md §6.3). A key alone asks for its presence. */
export const labelConditions = (column: Statement, given: readonly string[] | undefined): Statement[] =>
  (given ?? [])
    .filter((each) => each !== '')
    .map((each) => {
      const colon = each.indexOf(':')
      return colon < 0
        ? sql`${column} ->> ${each} is not null`
        : sql`${column} ->> ${each.slice(0, colon)} = ${each.slice(colon + 1)}`
    })
