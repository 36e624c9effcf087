/** A path of ours that may be redirected to, also where it is given with `origin`; anything that could lead elsewhere is the start page. */
export function ownPath(given: string | undefined, origin?: string): string {
  const path = origin !== undefined && given?.startsWith(`${origin}/`) ? given.slice(origin.length) : given
  if (path === undefined || !/^\/(?![/\\])[\x21-\x7e]*$/.test(path) || path.includes('\\')) return '/'
  const url = new URL(path, 'http://here.invalid')
  // Resolving may itself have made a second slash the first thing: `/..//elsewhere`.
  const isOurs = url.origin === 'http://here.invalid' && !url.pathname.startsWith('//')
  return isOurs ? `${url.pathname}${url.search}${url.hash}` : '/'
}

/** Where our endpoints are, whatever the surface. */
const ENDPOINTS = /^\/((platform|fleet|release|jobs)\/)?(api|wheelhouse|ws|health|metrics)(\/|$)/

/**
 * The same for what a token is put behind: a page, and no endpoint. An endpoint may redirect, and a fragment goes along; or answer with what
 * somebody uploaded, which could read it.
 */
export function ownPage(given: string | undefined, origin?: string): string {
  const path = ownPath(given, origin)
  try {
    return ENDPOINTS.test(decodeURIComponent(new URL(path, 'http://here.invalid').pathname)) ? '/' : path
  } catch {
    return '/'
  }
}
