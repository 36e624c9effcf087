import { hostname } from 'node:os'
import { resolve } from 'node:path'
import type { Client } from '@wheelhouse/sdk'
import { askHidden, askLine } from '../ask.ts'
import type { Call, Command } from '../command.ts'
import { type Context, contextName, contextPath, readContexts, writeContexts } from '../contexts.ts'
import { CliError, EXIT } from '../exit.ts'
import { durationMs } from '../flags.ts'
import { readStdin } from '../io.ts'
import { connect } from '../session.ts'
import { findTarget, localConnection, serverUrl } from '../target.ts'
import { deviceToken } from './device.ts'

/** Logs in, and keeps a key of this computer's own rather than the password or the session. */
export const login: Command = {
  name: 'login',
  summary: 'Log in to a server and keep it as a context',
  args: ['[url]'],
  flags: [
    { name: 'name', kind: 'text', value: 'name', summary: 'what to call the context (the host)' },
    { name: 'user', short: 'u', kind: 'text', value: 'name', summary: 'user name or e-mail; asks for the password' },
    { name: 'password-stdin', kind: 'switch', summary: 'read the password from stdin' },
    { name: 'tenant', kind: 'text', value: 'tenant', summary: 'tenant of the user (the server’s own)' },
    { name: 'key', kind: 'text', value: 'key', summary: 'an API key instead; - reads it from stdin' },
    { name: 'device', kind: 'switch', summary: 'confirm in a browser, on this or another device' },
    { name: 'expires', kind: 'text', value: 'time', summary: 'how long the key made here lives (90d)' },
    { name: 'session', kind: 'switch', summary: 'keep the session only, which ends by itself, and make no key' },
  ],
  examples: [
    'wheelhouse login https://wheelhouse.example.com',
    'wheelhouse login --data-dir ./data        # the installation on this host, as its administrator',
    'wheelhouse login wheelhouse.example.com --device',
    'wheelhouse login wheelhouse.example.com --key - < key.txt',
  ],
  async run(call) {
    const { voice, flags, io, signal } = call
    const { url, known } = await whereTo(call)
    if (url.startsWith('http:') && !/^http:\/\/(localhost|127\.|\[::1\])/.test(url))
      voice.warn(`${url} is not encrypted: whoever listens on the way can read your credentials.`)
    const credential = known ?? (await credentialFor(call, url))
    const client = connect(url, credential.token)
    const me = await client.platform.session.userinfo({ signal })
    const kept = credential.keep || flags.on('session') ? keepAsIs(credential) : await ownKey(call, client)
    const path = contextPath(io.env)
    const file = readContexts(path)
    const name = flags.text('name') ?? contextName(url)
    const context: Context = {
      url,
      ...kept,
      user: me.email ?? me.name ?? me.subject,
      ...(me.organization ? { tenant: me.organization } : {}),
    }
    writeContexts(path, { ...file, current: name, contexts: { ...file.contexts, [name]: context } })
    await retire(call, file.contexts[name], context)
    // The session was only the way to the key.
    if (kept.keyId !== undefined && credential.isSession) await closeSession(client)
    voice.say(`${voice.tint('green', '✓')} Logged in to ${url} as ${context.user}. The context is ${name}.`)
  },
}

interface Credential {
  token: string
  expiresAt?: string
  isSession: boolean
  /** A key that was given is kept; anything else is traded for a key of this computer's own. */
  keep: boolean
}

async function whereTo(call: Call): Promise<{ url: string; known?: Credential }> {
  const { args, io, targetFlags } = call
  const given = args.maybe('url') ?? targetFlags.url
  if (given === undefined && targetFlags.dataDir) {
    const local = localConnection(resolve(io.cwd, targetFlags.dataDir))
    if (!local)
      throw new CliError(
        EXIT.usage,
        `No installation has written its address to ${targetFlags.dataDir}.`,
        '`npm start` does.',
      )
    return { url: local.url, known: { token: local.admin.apiKey, isSession: false, keep: false } }
  }
  if (given !== undefined) return { url: serverUrl(given) }
  try {
    return { url: findTarget(targetFlags, io).url }
  } catch (error) {
    if (!(error instanceof CliError) || error.exitCode !== EXIT.auth) throw error
    return { url: serverUrl(await askLine(call, 'Address of the server', 'wheelhouse login URL')) }
  }
}

async function credentialFor(call: Call, url: string): Promise<Credential> {
  const { flags, io, signal } = call
  const key = flags.text('key')
  if (key !== undefined) {
    const token = (key === '-' ? await readStdin(io) : key).trim()
    if (token === '') throw new CliError(EXIT.usage, 'The key is empty.')
    return { token, isSession: false, keep: true }
  }
  if (flags.on('device')) return { ...(await deviceToken(call, url)), isSession: true, keep: false }
  const username = flags.text('user') ?? (await askLine(call, 'User name or e-mail', '--user NAME'))
  const password = flags.on('password-stdin')
    ? (await readStdin(io)).replace(/\r?\n$/, '')
    : await askHidden(call, 'Password', '--password-stdin')
  const tenant = flags.text('tenant')
  const made = await connect(url, undefined).jobs.auth.login({
    body: { username, password, ...(tenant ? { tenant } : {}) },
    signal,
  })
  return { token: made.token, expiresAt: made.expires_at, isSession: true, keep: false }
}

const keepAsIs = ({ token, expiresAt }: Credential): Pick<Context, 'token' | 'expiresAt' | 'keyId'> => ({
  token,
  ...(expiresAt ? { expiresAt } : {}),
})

/** A key that says which computer it is for, can be revoked alone, and does what its user may do (platform.md §8.6). */
async function ownKey(call: Call, client: Client): Promise<Pick<Context, 'token' | 'keyId' | 'expiresAt'>> {
  const lifeMs = durationMs(call.flags.text('expires') ?? '90d')
  const made = await client.platform.keys.createKey({
    body: {
      name: `CLI on ${hostname()}`.slice(0, 128),
      kind: 'cli',
      expires: new Date(Date.now() + lifeMs).toISOString(),
    },
    signal: call.signal,
  })
  return { token: made.token, keyId: made.id, ...(made.expires ? { expiresAt: made.expires } : {}) }
}

/** Logging in again ends the key of the time before: keys must not pile up. */
async function retire({ voice }: Call, before: Context | undefined, now: Context): Promise<void> {
  if (!before?.keyId || !before.token || before.url !== now.url || before.keyId === now.keyId) return
  await connect(before.url, before.token)
    .platform.keys.deleteKey({ params: { id: before.keyId } })
    .catch(() => voice.say('The key of the time before could not be revoked; it ends by itself.'))
}

const closeSession = (client: Client): Promise<unknown> => client.jobs.auth.logout({}).catch(() => undefined)

export const logout: Command = {
  name: 'logout',
  summary: 'Revoke the key of this computer and forget the context',
  args: ['[name]'],
  async run({ args, io, voice, targetFlags }) {
    const path = contextPath(io.env)
    const file = readContexts(path)
    const name = args.maybe('name') ?? targetFlags.context ?? file.current
    const context = name === undefined ? undefined : file.contexts[name]
    if (name === undefined || !context)
      throw new CliError(EXIT.notFound, name ? `No context is named ${name}.` : 'You are not logged in anywhere.')
    if (context.token) {
      const client = connect(context.url, context.token)
      const ended = context.keyId
        ? client.platform.keys.deleteKey({ params: { id: context.keyId } })
        : closeSession(client)
      await ended.catch(() =>
        voice.warn(
          `${context.url} did not confirm that the credential is revoked; \`wheelhouse key list\` there shows it.`,
        ),
      )
    }
    const { [name]: _gone, ...contexts } = file.contexts
    writeContexts(path, { ...(file.current && file.current !== name ? { current: file.current } : {}), contexts })
    voice.say(`Logged out of ${context.url}.`)
  },
}
