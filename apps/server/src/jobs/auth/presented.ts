import { cookieOf, type RequestFacts } from '../../kernel/http/index.ts'

export const SESSION_COOKIES = ['cordum_session', 'wheelhouse_session'] as const

/** The credentials that a request carries, in the order in which they count (jobs.md §18.1). */
export function presentedTokens(request: RequestFacts): string[] {
  const [scheme = '', bearer] = (request.header('authorization') ?? '').split(/\s+/, 2)
  const cookie = request.header('cookie')
  return [
    scheme.toLowerCase() === 'bearer' ? bearer : undefined,
    withoutQuotes(request.header('x-api-key') ?? ''),
    ...SESSION_COOKIES.map((name) => (cookie === undefined ? undefined : cookieOf({ cookie }, name))),
  ].filter((token): token is string => token !== undefined && token !== '')
}

/** Surrounding quotes and blanks are stripped (jobs.md §18.1). */
export const withoutQuotes = (text: string): string => text.trim().replace(/^["']|["']$/g, '')

/** First 8 and last 4 characters (jobs.md §2). */
export const masked = (token: string): string => `${token.slice(0, 8)}********${token.slice(-4)}`
