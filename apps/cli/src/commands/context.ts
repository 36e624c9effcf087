import { contextPath, readContexts, writeContexts } from '../contexts.ts'
import type { Call, Command, Group } from '../command.ts'
import { CliError, EXIT } from '../exit.ts'
import { cellText, type Columns, card, serialised, table } from '../render.ts'
import { findTarget } from '../target.ts'
import { agree } from '../ask.ts'

interface Shown {
  name: string
  current: boolean
  url: string
  user?: string
  tenant?: string
  expiresAt?: string
}

const COLUMNS: Columns<Shown> = {
  CURRENT: ({ current }) => (current ? '*' : ' '),
  NAME: ({ name }) => name,
  URL: ({ url }) => url,
  USER: ({ user }) => user,
  TENANT: ({ tenant }) => tenant,
  EXPIRES: ({ expiresAt }) => expiresAt,
}

function shown(call: Call): Shown[] {
  const file = readContexts(contextPath(call.io.env))
  return Object.entries(file.contexts).map(([name, { url, user, tenant, expiresAt }]) => ({
    name,
    current: name === file.current,
    url,
    ...(user ? { user } : {}),
    ...(tenant ? { tenant } : {}),
    ...(expiresAt ? { expiresAt } : {}),
  }))
}

const list: Command = {
  name: 'list',
  aliases: ['ls'],
  summary: 'The servers that you have logged in to',
  async run(call) {
    const { format, voice } = call
    const contexts = shown(call)
    if (format === 'json' || format === 'yaml') voice.line(serialised(format, contexts))
    else if (format === 'name') for (const { name } of contexts) voice.line(cellText(name))
    else if (contexts.length > 0) voice.line(table(contexts, COLUMNS, voice))
    else voice.say('No contexts yet: `wheelhouse login URL` makes one.')
  },
}

const use: Command = {
  name: 'use',
  summary: 'Make a context the current one',
  args: ['name'],
  async run({ io, args, voice }) {
    const path = contextPath(io.env)
    const file = readContexts(path)
    const name = args.one('name')
    if (!file.contexts[name])
      throw new CliError(
        EXIT.notFound,
        `No context is named ${name}.`,
        `Known: ${Object.keys(file.contexts).join(', ') || 'none'}`,
      )
    writeContexts(path, { ...file, current: name })
    voice.say(`Now on ${name}, ${file.contexts[name].url}`)
  },
}

const remove: Command = {
  name: 'delete',
  aliases: ['rm'],
  summary: 'Forget a context; its credential is not revoked (`wheelhouse logout` does that)',
  args: ['name'],
  flags: [{ name: 'yes', short: 'y', kind: 'switch', summary: 'do not ask' }],
  async run(call) {
    const path = contextPath(call.io.env)
    const { current, contexts } = readContexts(path)
    const name = call.args.one('name')
    const { [name]: gone, ...rest } = contexts
    if (!gone) throw new CliError(EXIT.notFound, `No context is named ${name}.`)
    await agree(call, `Forget ${name}?`)
    writeContexts(path, { ...(current && current !== name ? { current } : {}), contexts: rest })
    call.voice.say(`Forgot ${name}.`)
  },
}

const show: Command = {
  name: 'show',
  summary: 'Which server the next command goes to, and why',
  async run(call) {
    const { format, voice, io, targetFlags } = call
    const { url, name, source, token, context } = findTarget(targetFlags, io)
    const facts = { name, url, source, credential: token !== undefined, user: context?.user, tenant: context?.tenant }
    if (format === 'json' || format === 'yaml') return voice.line(serialised(format, facts))
    if (format === 'name') return voice.line(cellText(name))
    const columns: Columns<typeof facts> = {
      Name: (fact) => fact.name,
      URL: (fact) => fact.url,
      From: (fact) =>
        ({
          flag: 'a flag',
          environment: 'the environment',
          context: 'the current context',
          local: 'the installation on this host',
        })[fact.source],
      Credential: (fact) => (fact.credential ? 'yes' : 'none: log in'),
      User: (fact) => fact.user,
      Tenant: (fact) => fact.tenant,
    }
    voice.line(card(facts, columns, voice))
  },
}

const contextNames: NonNullable<Command['complete']> = async () =>
  Object.entries(readContexts(contextPath(process.env)).contexts).map(([name, { url }]) => [name, url] as const)

export const contextGroup: Group = {
  name: 'context',
  aliases: ['contexts', 'ctx'],
  summary: 'The servers that you use',
  commands: [list, { ...use, complete: contextNames }, { ...remove, complete: contextNames }, show],
}
