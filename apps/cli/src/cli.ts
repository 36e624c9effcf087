import { CommanderError } from 'commander'
import { groups, topLevel } from './commands/index.ts'
import { answerCompletion } from './completion.ts'
import { EXIT } from './exit.ts'
import { failureOf } from './failure.ts'
import { type Io, voice } from './io.ts'
import { buildProgram, usageCode } from './program.ts'
import { findTarget } from './target.ts'

/** Runs one command line and returns its exit code; never throws. */
export async function runCli(args: readonly string[], io: Io): Promise<number> {
  const program = buildProgram(io, topLevel, groups)
  try {
    if (args[0] === 'complete' && args[1] === '--') {
      await answerCompletion(program.commander, args.slice(2), { topLevel, groups }, io)
      return EXIT.ok
    }
    if (args.length === 0) {
      program.commander.outputHelp()
      return EXIT.ok
    }
    await program.commander.parseAsync([...args], { from: 'user' })
    return io.signal.aborted ? EXIT.interrupted : program.code()
  } catch (error) {
    if (error instanceof CommanderError) return usageCode(error)
    if (io.signal.aborted) return EXIT.interrupted
    return tell(error, args, io)
  }
}

function tell(error: unknown, args: readonly string[], io: Io): number {
  const { warn, tint } = voice(io, { color: !args.includes('--no-color') })
  const { exitCode, message, facts, next } = failureOf(error, urlOf(args, io))
  warn(`${tint('red', '✗')} ${message}`)
  for (const fact of facts) warn(`  ${fact}`)
  if (next) warn(tint('dim', `  ${next}`))
  if (io.env['DEBUG']?.includes('wheelhouse') && error instanceof Error) warn(error.stack ?? '')
  return exitCode
}

/** The server that was meant, for the message that it does not answer. */
function urlOf(args: readonly string[], io: Io): string | undefined {
  const flag = (name: string): string | undefined => {
    const at = args.indexOf(name)
    return at === -1 ? args.find((arg) => arg.startsWith(`${name}=`))?.slice(name.length + 1) : args[at + 1]
  }
  const [url, context, dataDir] = [flag('--url'), flag('--context'), flag('--data-dir')]
  try {
    return findTarget({ ...(url ? { url } : {}), ...(context ? { context } : {}), ...(dataDir ? { dataDir } : {}) }, io)
      .url
  } catch {
    return undefined
  }
}
