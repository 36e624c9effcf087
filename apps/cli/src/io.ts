import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

/** The world of one run: its streams, its surroundings and the signal that ends it. */
export interface Io {
  env: Readonly<Record<string, string | undefined>>
  cwd: string
  stdin: NodeJS.ReadStream
  /** Data alone. */
  stdout: NodeJS.WritableStream & { isTTY?: boolean; columns?: number; rows?: number }
  /** Talk: progress, hints, questions, refusals. */
  stderr: NodeJS.WritableStream & { isTTY?: boolean }
  /** Aborts on Ctrl-C. */
  signal: AbortSignal
}

/** How a run talks, as its flags and streams allow. */
export interface Voice {
  /** Data, as it is. */
  write(text: string | Uint8Array): void
  /** A line of data. */
  line(text: string): void
  /** A line for the person; silent with --quiet. */
  say(text: string): void
  /** A line that --quiet does not silence. */
  warn(text: string): void
  /** Colours what goes to stdout. */
  paint(style: Style, text: string): string
  /** Colours what goes to stderr. */
  tint(style: Style, text: string): string
  /** Whether somebody sits there who can answer. */
  interactive: boolean
  quiet: boolean
}

/** Colours only where the stream is a terminal and neither NO_COLOR nor --no-color says otherwise (clig.dev). */
export function voice(io: Io, flags: { quiet?: boolean; color?: boolean }): Voice {
  const colours = (stream: { isTTY?: boolean }): boolean =>
    flags.color !== false && !io.env['NO_COLOR'] && io.env['TERM'] !== 'dumb' && stream.isTTY === true
  const painter = (on: boolean) => (style: Style, text: string) =>
    on ? styleText(style, text, { validateStream: false }) : text
  return {
    write: (text) => void io.stdout.write(text),
    line: (text) => void io.stdout.write(`${text}\n`),
    say(text) {
      if (!flags.quiet) io.stderr.write(`${text}\n`)
    },
    warn: (text) => void io.stderr.write(`${text}\n`),
    paint: painter(colours(io.stdout)),
    tint: painter(colours(io.stderr)),
    interactive: io.stdin.isTTY === true && io.stderr.isTTY === true && !io.env['CI'],
    quiet: flags.quiet === true,
  }
}

// oxlint-disable-next-line no-control-regex -- exactly those are meant
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g

/** Text of others, made harmless for a terminal: control characters become visible. Tabs and line breaks stay. */
export const harmless = (text: string): string =>
  text.replace(CONTROL, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`)

/** What the file says that a flag names; `-` is stdin. */
export async function readText(io: Io, path: string): Promise<string> {
  return path === '-' ? readStdin(io) : readFileSync(resolve(io.cwd, path), 'utf8')
}

/** All of stdin, for `-` as a file name. */
export async function readStdin(io: Io): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of io.stdin) chunks.push(Buffer.from(chunk as Uint8Array))
  return Buffer.concat(chunks).toString('utf8')
}
