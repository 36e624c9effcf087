export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]
export type Fields = Record<string, string | number | boolean | undefined>
export type Log = Record<LogLevel, (message: string, fields?: Fields) => void>

/** A logger of one line an entry on stderr. Every occurrence of a secret is blotted out, whatever field it stands in. */
export function createLog(
  level: LogLevel,
  secrets: readonly string[],
  write: (line: string) => void = (line) => process.stderr.write(line),
): Log {
  const least = LOG_LEVELS.indexOf(level)
  const at =
    (each: LogLevel) =>
    (message: string, fields: Fields = {}) => {
      if (LOG_LEVELS.indexOf(each) < least) return
      const tail = Object.entries(fields)
        .filter(([, value]) => value !== undefined)
        .map(([key, value]) => ` ${key}=${typeof value === 'string' ? JSON.stringify(value) : value}`)
      let line = `${new Date().toISOString()} ${each.padEnd(5)} ${message}${tail.join('')}\n`
      for (const secret of secrets) if (secret) line = line.replaceAll(secret, '***')
      write(line)
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

export const messageOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).slice(0, 1000)
