import type { RequestFacts } from '../kernel/http/index.ts'
import type { Kernel } from '../kernel/kernel.ts'

/** The origin by which callers reach us: configured where a proxy stands before us, else as this request came. */
export function originOf({ config }: Kernel, request: RequestFacts): string {
  if (config.publicUrl !== undefined) return new URL(config.publicUrl).origin
  const host = request.header('host') ?? ''
  const scheme = config.tls.cert === undefined ? 'http' : 'https'
  return URL.canParse(`${scheme}://${host}`) ? new URL(`${scheme}://${host}`).origin : `${scheme}://${config.host}`
}
