import { Command as Commander, type CommanderError, Option } from 'commander'
import manifest from '../package.json' with { type: 'json' }
import type { Call, Command, Group, Session, Values, Words } from './command.ts'
import { CliError, EXIT } from './exit.ts'
import { optionOf } from './flags.ts'
import { type Io, voice } from './io.ts'
import { type Format, FORMATS } from './render.ts'
import { openSession } from './session.ts'

/** What every command takes. */
const shared = (): Option[] =>
  SHARED.map(([term, summary, choices]) => {
    const option = new Option(term, summary).helpGroup('Common options:')
    return choices ? option.choices([...choices]) : option
  })

const SHARED: readonly (readonly [term: string, summary: string, choices?: readonly string[]])[] = [
  ['-o, --output <format>', 'how data is printed', FORMATS],
  ['--context <name>', 'the context to use instead of the current one'],
  ['--url <url>', 'the server to use; the credential comes from WHEELHOUSE_API_KEY or its context'],
  ['--data-dir <folder>', 'the installation on this host that keeps its data there'],
  ['-q, --quiet', 'data and refusals alone'],
  ['--no-color', 'no colours (as NO_COLOR)'],
]

export interface Program {
  commander: Commander
  /** The exit code of the command that ran. */
  code: () => number
}

/** The whole command line. Nothing runs before `commander.parseAsync`. */
export function buildProgram(io: Io, top: readonly Command[], groups: readonly Group[]): Program {
  let code: number = EXIT.ok
  const commander = styled(new Commander('wheelhouse'), io)
    .description('One control plane for machines, releases and governed jobs.')
    .version(manifest.version, '-V, --version')
    .enablePositionalOptions()
    .showHelpAfterError('(--help shows what there is)')
  for (const option of shared()) commander.addOption(option)
  const done = (ended: number) => (code = ended)
  for (const group of groups) {
    const made = styled(commander.command(group.name), io).description(group.summary)
    if (group.aliases) made.aliases([...group.aliases])
    for (const command of group.commands) add(made, command, io, done)
  }
  for (const command of top) add(commander, command, io, done)
  return { commander, code: () => code }
}

function styled(commander: Commander, io: Io): Commander {
  return commander
    .exitOverride()
    .helpCommand(false)
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
}

function add(parent: Commander, command: Command, io: Io, done: (code: number) => void): void {
  const made = styled(parent.command(command.name), io).description(command.summary)
  if (command.aliases) made.aliases([...command.aliases])
  for (const arg of command.args ?? []) made.argument(arg.startsWith('[') ? arg : `<${arg}>`)
  const common = shared()
  const taken = new Set(common.map((option) => option.long))
  for (const flag of command.flags ?? []) {
    const option = optionOf(flag)
    if (taken.has(option.long)) throw new Error(`${command.name}: --${flag.name} is a flag of every command`)
    made.addOption(option)
  }
  for (const option of common) made.addOption(option)
  if (command.passThrough) made.passThroughOptions()
  if (command.examples?.length)
    made.addHelpText('after', `\nExamples:\n${command.examples.map((line) => `  ${line}`).join('\n')}`)
  made.action(async () => {
    done((await command.run(callOf(command, made, io))) ?? EXIT.ok)
  })
}

function callOf(command: Command, made: Commander, io: Io): Call {
  const given: Record<string, unknown> = {}
  // Flags of every command may stand before it or behind it; behind it wins.
  for (let at: Commander | null = made; at; at = at.parent)
    for (const [name, value] of Object.entries(at.opts()))
      if (!(name in given) || (name === 'color' && value === false)) given[name] = value
  const words = new Map<string, string | string[] | undefined>(
    made.registeredArguments.map((argument, at) => [argument.name(), made.processedArgs[at] as string | string[]]),
  )
  const options = new Map(made.options.map((option) => [option.long?.slice(2), given[option.attributeName()]]))
  let session: Session | undefined
  const targetFlags = pick(given, ['context', 'url', 'dataDir'])
  return {
    io,
    voice: voice(io, { quiet: given['quiet'] === true, color: given['color'] !== false }),
    format: (given['output'] as Format | undefined) ?? 'table',
    args: wordsOf(words, command),
    flags: valuesOf(options),
    signal: io.signal,
    session: () => (session ??= openSession(io, targetFlags)),
    targetFlags,
  }
}

function pick(given: Record<string, unknown>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (typeof given[name] === 'string' ? [[name, given[name]]] : [])))
}

const wordsOf = (words: ReadonlyMap<string, string | string[] | undefined>, command: Command): Words => ({
  one(name) {
    const word = words.get(name)
    if (typeof word !== 'string' || word === '')
      throw new CliError(EXIT.usage, `${command.name}: ${name} is missing.`, `\`wheelhouse ${command.name} --help\``)
    return word
  },
  maybe(name) {
    const word = words.get(name)
    return typeof word === 'string' ? word : undefined
  },
  rest(name) {
    const word = words.get(name)
    return Array.isArray(word) ? word : []
  },
})

const valuesOf = (options: ReadonlyMap<string | undefined, unknown>): Values => ({
  raw: (name) => options.get(name),
  text: (name) => (typeof options.get(name) === 'string' ? (options.get(name) as string) : undefined),
  number: (name) => (typeof options.get(name) === 'number' ? (options.get(name) as number) : undefined),
  on: (name) => options.get(name) === true,
  list: (name) => (Array.isArray(options.get(name)) ? (options.get(name) as string[]) : []),
  pairs: (name) => (options.get(name) as Record<string, string> | undefined) ?? {},
})

/** Commander's own ends: help and version are fine, all else is usage. */
export const usageCode = (error: CommanderError): number => (error.exitCode === 0 ? EXIT.ok : EXIT.usage)
