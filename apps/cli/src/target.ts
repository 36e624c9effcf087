import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Context, contextPath, readContexts } from './contexts.ts'
import { CliError, EXIT } from './exit.ts'

/** Which server is meant, as whom, and who said so. */
export interface Target {
  url: string
  token?: string
  /** The context's name, or where else this came from. */
  name: string
  source: 'flag' | 'environment' | 'context' | 'local'
  context?: Context
}

export interface TargetFlags {
  context?: string
  url?: string
  dataDir?: string
}

interface Surroundings {
  env: Readonly<Record<string, string | undefined>>
  cwd: string
}

/** What an installation on this host says of itself (`<data>/connection.json`, mode 0600). */
export interface LocalConnection {
  url: string
  tenant: string
  admin: { email: string; password: string; apiKey: string }
  pid: number
}

const PROJECT = fileURLToPath(new URL('../../..', import.meta.url))

/**
 * The server of this run, in this order: --url, --context, --data-dir, WHEELHOUSE_URL, WHEELHOUSE_CONTEXT, the current context, an
 * installation on this host. Throws CliError (auth) when there is none.
 */
export function findTarget(flags: TargetFlags, { env, cwd }: Surroundings): Target {
  const file = readContexts(contextPath(env))
  const named = (name: string, source: Target['source']): Target => {
    const context = file.contexts[name]
    if (!context)
      throw new CliError(
        EXIT.usage,
        `No context is named ${name}.`,
        `Known: ${Object.keys(file.contexts).join(', ') || 'none'}. \`wheelhouse login --name ${name}\` makes it.`,
      )
    return { url: context.url, ...(context.token ? { token: context.token } : {}), name, source, context }
  }
  const addressed = (given: string, source: Target['source']): Target => {
    const url = serverUrl(given)
    const [name, known] = Object.entries(file.contexts).find(([, context]) => context.url === url) ?? [url, undefined]
    const token = env['WHEELHOUSE_API_KEY'] || env['WHEELHOUSE_TOKEN'] || known?.token
    return { url, ...(token ? { token } : {}), name, source, ...(known ? { context: known } : {}) }
  }
  if (flags.url) return addressed(flags.url, 'flag')
  if (flags.context) return named(flags.context, 'flag')
  if (flags.dataDir) {
    const local = localTarget(resolve(cwd, flags.dataDir))
    if (local) return local
    throw new CliError(
      EXIT.usage,
      `${join(flags.dataDir, 'connection.json')} does not exist or is not complete.`,
      'An installation writes it when it is up: `npm start`.',
    )
  }
  if (env['WHEELHOUSE_URL']) return addressed(env['WHEELHOUSE_URL'], 'environment')
  if (env['WHEELHOUSE_CONTEXT']) return named(env['WHEELHOUSE_CONTEXT'], 'environment')
  if (file.current) return named(file.current, 'context')
  for (const folder of env['WHEELHOUSE_DATA_DIR'] ? [env['WHEELHOUSE_DATA_DIR']] : ['data', join(PROJECT, 'data')]) {
    const local = localTarget(resolve(cwd, folder))
    if (local) return local
  }
  throw new CliError(
    EXIT.auth,
    'You are not logged in anywhere.',
    '`wheelhouse login URL` logs in; `npm start` in the project starts an installation on this machine.',
  )
}

/** The installation whose data folder this is, if it has written down how to reach it. */
export function localConnection(folder: string): LocalConnection | undefined {
  const file = join(folder, 'connection.json')
  if (!existsSync(file)) return undefined
  try {
    const connection = JSON.parse(readFileSync(file, 'utf8')) as Partial<LocalConnection>
    return connection.url && connection.admin?.apiKey ? (connection as LocalConnection) : undefined
  } catch (cause) {
    throw new CliError(
      EXIT.auth,
      `${file} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`,
      'It belongs to whoever started the installation; log in with a user or key of your own: `wheelhouse login URL`.',
    )
  }
}

function localTarget(folder: string): Target | undefined {
  const connection = localConnection(folder)
  return connection && { url: connection.url, token: connection.admin.apiKey, name: folder, source: 'local' }
}

/** An address as people type it: `host`, `host:port` or a URL. Without a scheme it is https, on this machine http. Throws CliError (usage). */
export function serverUrl(given: string): string {
  const isHere = /^(localhost|127\.0\.0\.1|\[::1\])(:|\/|$)/.test(given)
  const text = /^[a-z]+:\/\//i.test(given) ? given : `${isHere ? 'http' : 'https'}://${given}`
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.username || url.password || url.search || url.hash)
    throw new CliError(
      EXIT.usage,
      `${given} is not the address of a server.`,
      'Write it like https://wheelhouse.example.com',
    )
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}
