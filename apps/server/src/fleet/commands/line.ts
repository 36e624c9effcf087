/** A word as a POSIX shell reads it back. */
const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`

/** The command line that policy judges and people read: what will run, with its arguments as they will arrive. */
export const commandLine = (command: string, args: readonly string[]): string =>
  args.length === 0 ? command : [command, ...args.map(quoted)].join(' ')
