import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { parse, stringify } from 'yaml'
import { CliError, EXIT } from './exit.ts'

/** One server that the CLI knows, and how it is known there. */
export interface Context {
  url: string
  /** API key or session token. */
  token?: string
  /** The key that `login` made for this computer; `logout` revokes it. */
  keyId?: string
  user?: string
  tenant?: string
  expiresAt?: string
}

export interface ContextFile {
  current?: string
  contexts: Record<string, Context>
}

type Env = Readonly<Record<string, string | undefined>>

/** Where contexts are kept: `WHEELHOUSE_CLI_CONFIG`, else the XDG folder of configuration. */
export const contextPath = (env: Env): string =>
  env['WHEELHOUSE_CLI_CONFIG'] ||
  join(env['XDG_CONFIG_HOME'] || join(env['HOME'] || homedir(), '.config'), 'wheelhouse', 'config.yaml')

/** The contexts of this user; none when the file is missing. Throws CliError when it cannot be read as such. */
export function readContexts(path: string): ContextFile {
  if (!existsSync(path)) return { contexts: {} }
  let document: unknown
  try {
    document = parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new CliError(EXIT.usage, `${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`)
  }
  const { current, contexts } = (document ?? {}) as Partial<ContextFile>
  const known = typeof contexts === 'object' && contexts !== null ? contexts : {}
  for (const [name, context] of Object.entries(known))
    if (typeof context?.url !== 'string') throw new CliError(EXIT.usage, `${path}: context ${name} has no url`)
  return { ...(typeof current === 'string' ? { current } : {}), contexts: known }
}

/** Replaces the file as a whole, readable by its owner alone: it holds credentials. */
export function writeContexts(path: string, file: ContextFile): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const beside = `${path}.${process.pid}.new`
  writeFileSync(beside, stringify(file), { mode: 0o600 })
  chmodSync(beside, 0o600)
  renameSync(beside, path)
}

/** Whether others of this computer can read the file. */
export const isExposed = (path: string): boolean =>
  process.platform !== 'win32' && existsSync(path) && (statSync(path).mode & 0o077) !== 0

/** A name for a new context: the host, with its port where it is not the usual one. */
export const contextName = (url: string): string => new URL(url).host.replace(/^127\.0\.0\.1|^\[::1\]/, 'localhost')
