import { confirm, isCancel, password as askSecret, text as askText } from '@clack/prompts'
import type { Call } from './command.ts'
import { CliError, EXIT } from './exit.ts'

const streams = ({ io }: Call) => ({ input: io.stdin, output: io.stderr as NodeJS.WriteStream, signal: io.signal })

function answered<T>(answer: T): Exclude<T, symbol> {
  if (isCancel(answer)) throw new CliError(EXIT.interrupted, 'Cancelled.')
  return answer as Exclude<T, symbol>
}

/** Asks before something is lost. With --yes it does not; where nobody can answer it refuses. */
export async function agree(call: Call, question: string): Promise<void> {
  if (call.flags.on('yes')) return
  if (!call.voice.interactive) throw new CliError(EXIT.usage, `${question} Nobody is here to answer.`, 'Say --yes.')
  if (!answered(await confirm({ message: question, initialValue: false, ...streams(call) })))
    throw new CliError(EXIT.failed, 'Nothing was done.')
}

/** Asks for a line of text; `flag` is what scripts say instead. */
export async function askLine(call: Call, message: string, flag: string, initial = ''): Promise<string> {
  if (!call.voice.interactive) throw new CliError(EXIT.usage, `${message} is missing.`, `Say ${flag}.`)
  return answered(
    await askText({
      message,
      initialValue: initial,
      validate: (value) => (value ? undefined : 'Please say something.'),
      ...streams(call),
    }),
  )
}

/** Asks for a secret without showing it. */
export async function askHidden(call: Call, message: string, flag: string): Promise<string> {
  if (!call.voice.interactive) throw new CliError(EXIT.usage, `${message} is missing.`, `Say ${flag}.`)
  return answered(await askSecret({ message, ...streams(call) }))
}
