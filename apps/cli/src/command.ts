import type { Client } from '@wheelhouse/sdk'
import type { Flag } from './flags.ts'
import type { Io, Voice } from './io.ts'
import type { Format } from './render.ts'
import type { Target } from './target.ts'

/** A positional argument: `name`, `[name]` when it may be left out, `name...` for the rest. */
export type ArgSpec = string

/** One command of the CLI. */
export interface Command {
  name: string
  aliases?: readonly string[]
  summary: string
  args?: readonly ArgSpec[]
  flags?: readonly Flag[]
  /** Shown below the help, one a line. */
  examples?: readonly string[]
  /** Everything after the first argument belongs to the command that is run elsewhere: flags too. */
  passThrough?: boolean
  /** What Tab offers for the first argument. */
  complete?(session: Session): Promise<readonly (readonly [value: string, description: string])[]>
  /** Returns the exit code; nothing means 0. */
  run(call: Call): Promise<number | void>
}

/** Commands about one thing. */
export interface Group {
  name: string
  aliases?: readonly string[]
  summary: string
  commands: readonly Command[]
}

/** A server with the credential of this run. */
export interface Session {
  client: Client
  target: Target
}

/** One run of a command: what was given, and what it stands in. */
export interface Call {
  io: Io
  voice: Voice
  format: Format
  args: Words
  flags: Values
  /** Ctrl-C; pass it to whatever waits. */
  signal: AbortSignal
  /** Finds the server; throws CliError when there is none. */
  session(): Session
  /** The flags that name a server, for commands that look for one themselves. */
  targetFlags: { context?: string; url?: string; dataDir?: string }
}

export interface Words {
  /** A positional argument that must be there. */
  one(name: string): string
  maybe(name: string): string | undefined
  rest(name: string): string[]
}

export interface Values {
  text(name: string): string | undefined
  number(name: string): number | undefined
  on(name: string): boolean
  list(name: string): string[]
  pairs(name: string): Record<string, string>
  raw(name: string): unknown
}
