import type { Config } from '../config/index.ts'
import type { RequestFacts } from './context.ts'

/** The origin by which callers reach us: configured where a proxy stands before us, else as this request came. */
export function originOf(config: Pick<Config, 'publicUrl' | 'tls' | 'host'>, request: RequestFacts): string {
  if (config.publicUrl !== undefined) return new URL(config.publicUrl).origin
  const host = request.header('host') ?? ''
  const scheme = config.tls.cert === undefined ? 'http' : 'https'
  return URL.canParse(`${scheme}://${host}`) ? new URL(`${scheme}://${host}`).origin : `${scheme}://${config.host}`
}
