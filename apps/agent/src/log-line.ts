import type { LogLine } from '@wheelhouse/sdk/agent-protocol'

const LEVELS: readonly [RegExp, string][] = [
  [/\b(fatal|panic|emerg|alert|crit(ical)?|err(or)?)\b/i, 'error'],
  [/\bwarn(ing)?\b/i, 'warn'],
  [/\b(debug|trace)\b/i, 'debug'],
]
const TIME = /^\W?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d))/
// The words that programs put near the beginning; further on they are part of the message.
const HEAD_LENGTH = 160

/** A line of a log file with what can be told from it: its time when it begins with one that names its zone, its level from a usual word. */
export function describeLine(line: string, now = Date.now()): LogLine {
  const head = line.slice(0, HEAD_LENGTH)
  const level = LEVELS.find(([pattern]) => pattern.test(head))?.[1] ?? 'info'
  const written = Date.parse(TIME.exec(head)?.[1]?.replace(',', '.').replace(' ', 'T') ?? '')
  return { level, message: line, source: 'system', ts: new Date(Number.isNaN(written) ? now : written).toISOString() }
}
