/** Paths whose last segment is an id that clients also send with its slashes unencoded (jobs.md §1.6, fix). Nothing lies beneath them. */
const RAW_TAILS = /^(\/api\/v1\/(?:artifacts|schemas)\/)([^?#]*\/[^?#]*)(.*)$/

/** The same path with the slashes of such an id encoded, so that the router sees one segment. */
export const withEncodedTail = (url: string): string =>
  url.replace(RAW_TAILS, (_, head: string, tail: string, rest: string) => head + tail.replaceAll('/', '%2F') + rest)
