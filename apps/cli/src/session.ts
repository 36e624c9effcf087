import { contract } from '@wheelhouse/contract'
import { type Client, createClient } from '@wheelhouse/sdk'
import manifest from '../package.json' with { type: 'json' }
import type { Session } from './command.ts'
import { contextPath, isExposed } from './contexts.ts'
import { CliError, EXIT } from './exit.ts'
import type { Io } from './io.ts'
import { findTarget, type TargetFlags } from './target.ts'

/** A client that says who it is. */
export const connect = (url: string, token: string | undefined): Client =>
  createClient(contract, { url, token: () => token, headers: { 'user-agent': `wheelhouse-cli/${manifest.version}` } })

/** The server of this run with its credential. Throws CliError (auth) when there is no server or no credential. */
export function openSession(io: Io, flags: TargetFlags): Session {
  const target = findTarget(flags, io)
  const file = contextPath(io.env)
  if (target.source === 'context' && isExposed(file))
    io.stderr.write(`Others of this computer can read your credentials in ${file}: chmod 600 it.\n`)
  if (target.token === undefined)
    throw new CliError(
      EXIT.auth,
      `You are not logged in to ${target.url}.`,
      `\`wheelhouse login ${target.url}\`, or set WHEELHOUSE_API_KEY.`,
    )
  return { target, client: connect(target.url, target.token) }
}
