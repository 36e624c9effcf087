import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { homedir, hostname } from 'node:os'
import { join as path, resolve } from 'node:path'
import { contract } from '@wheelhouse/contract'
import { ApiError } from '@wheelhouse/sdk'
import { pairs } from '../cells.ts'
import type { Call, Command, Group } from '../command.ts'
import { CliError, EXIT } from '../exit.ts'
import { readStdin } from '../io.ts'
import { row } from '../row.ts'
import { connect } from '../session.ts'
import { serverUrl } from '../target.ts'
import { PROJECT, runProgram } from './host-program.ts'

const { createToken } = contract.native.join

const invite = row('native', createToken, {
  name: 'invite',
  summary: 'Make a one-time token with which one host joins, and show the line to run there',
  rename: { labels: 'label', expiresInMinutes: 'minutes' },
  about: {
    name: 'the name that the host will bear (its host name)',
    labels: 'a label of the host, for policy; may be repeated',
    expiresInMinutes: 'how long the token is good (60)',
  },
  columns: { Run: ({ line }) => line, Token: ({ token }) => token, Expires: ({ expiresAt }) => expiresAt },
  id: ({ token }) => token,
  said: () => 'The token is good for one host.',
  examples: ['wheelhouse agent invite --name db-1 --label env=production'],
})

const join: Command = {
  name: 'join',
  summary: 'Join this host: trade the token for a key of its own and run the agent',
  args: ['[url]', '[token]'],
  flags: [
    {
      name: 'token',
      kind: 'text',
      value: 'token',
      summary: 'the token; - reads it from stdin, where process lists do not show it',
    },
    { name: 'name', kind: 'text', value: 'name', summary: 'the name of this host, where the token names none' },
    { name: 'label', kind: 'pairs', value: 'key=value', summary: 'what this host says of itself; may be repeated' },
    {
      name: 'folder',
      kind: 'text',
      value: 'folder',
      summary: 'where the agent keeps its key and what it could not deliver',
    },
    { name: 'unit', kind: 'switch', summary: 'do not run the agent; print a systemd unit that does' },
    { name: 'print', kind: 'switch', summary: 'do not run the agent; print the command that does' },
  ],
  examples: [
    'wheelhouse agent join https://wheelhouse.example.com whj_…',
    'wheelhouse agent join https://wheelhouse.example.com whj_… --unit | sudo tee /etc/systemd/system/wheelhouse-agent.service',
  ],
  async run(call) {
    const { flags, voice, io, signal } = call
    const { url, token } = await whereTo(call)
    const folder = flags.text('folder') === undefined ? defaultFolder() : resolve(io.cwd, flags.text('folder') ?? '')
    // Made first: a token is good once, and what follows must not fail for want of a folder.
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const joined = await connect(url, undefined)
      .native.join.join({ body: { token, name: hostName(flags.text('name')) }, signal })
      .catch((error: unknown) => {
        if (error instanceof ApiError && error.status === 401)
          throw new CliError(
            EXIT.auth,
            error.message,
            'Make another one: wheelhouse agent invite, or Admin, Hosts in the console.',
          )
        throw error
      })
    const tokenFile = path(folder, 'token')
    writeFileSync(tokenFile, `${joined.token}\n`, { mode: 0o600 })
    chmodSync(tokenFile, 0o600)
    voice.say(`${voice.tint('green', '✓')} This host joined as ${joined.name}. Its key is in ${tokenFile}.`)
    const labels = pairs(flags.pairs('label')).replaceAll(', ', ',')
    const known = ['--url', url, '--id', joined.name, '--token-file', tokenFile, '--data-dir', folder]
    return begin(call, labels === '' ? known : [...known, '--labels', labels])
  },
}

/** Server and token: `join URL TOKEN`, or `--url` and `--token` as the console's line says them. */
async function whereTo({ args, flags, io, targetFlags }: Call): Promise<{ url: string; token: string }> {
  const words = [args.maybe('url'), args.maybe('token')].filter((word) => word !== undefined)
  const url = targetFlags.url ?? words.shift()
  const given = flags.text('token') ?? words.shift()
  if (url === undefined || given === undefined)
    throw new CliError(EXIT.usage, 'Say which server and with which token.', 'wheelhouse agent join URL TOKEN')
  return { url: serverUrl(url), token: (given === '-' ? await readStdin(io) : given).trim() }
}

async function begin({ flags, voice, signal }: Call, agentArgs: readonly string[]): Promise<number> {
  const program = agentProgram()
  if (flags.on('unit')) voice.write(unit([process.execPath, program, ...agentArgs]))
  else if (flags.on('print')) voice.line([process.execPath, program, ...agentArgs].join(' '))
  else return runProgram([program, ...agentArgs], signal)
  return EXIT.ok
}

/** The bundle if it was built, which an installation does; else the sources of this clone. */
function agentProgram(): string {
  const bundle = path(PROJECT, 'apps', 'agent', 'dist', 'agent.mjs')
  const source = path(PROJECT, 'apps', 'agent', 'src', 'main.ts')
  const found = [bundle, source].find((file) => existsSync(file))
  if (!found)
    throw new CliError(EXIT.failed, 'The agent is not part of this installation.', '`npm run build` makes it.')
  return found
}

const defaultFolder = (): string =>
  process.getuid?.() === 0 ? '/var/lib/wheelhouse-agent' : path(homedir(), '.wheelhouse', 'agent')

/** A host name as a name of an agent: letters, digits, dots and dashes. */
const hostName = (given: string | undefined): string =>
  given ??
  (hostname()
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '')
    .slice(0, 128) ||
    'host')

const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : JSON.stringify(word))

/** A unit that keeps the agent running; systemd's own words, nothing of this shell. */
const unit = (words: readonly string[]): string =>
  [
    '[Unit]',
    'Description=Wheelhouse agent',
    'Wants=network-online.target',
    'After=network-online.target',
    '',
    '[Service]',
    `ExecStart=${words.map((word) => quoted(word).replaceAll('%', '%%')).join(' ')}`,
    'Restart=always',
    'RestartSec=2',
    'KillMode=mixed',
    '',
    '[Install]',
    'WantedBy=multi-user.target',
    '',
  ].join('\n')

export const agentGroup: Group = {
  name: 'agent',
  aliases: ['agents'],
  summary: 'Hosts and the agent on them',
  commands: [invite, join],
}
