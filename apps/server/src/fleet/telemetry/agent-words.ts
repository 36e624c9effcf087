import {
  EVENT_TYPES,
  type EventType,
  LOG_LEVELS,
  LOG_SOURCES,
  type LogLevel,
  type LogSource,
} from '@wheelhouse/contract/fleet/words'

/** fleet.md §3.6: aliases of levels that agents send. What is none of them is INFO. */
const LEVELS: Readonly<Record<string, LogLevel>> = {
  WARNING: 'WARN',
  ERR: 'ERROR',
  FATAL: 'ERROR',
  CRITICAL: 'ERROR',
  TRACE: 'DEBUG',
}

export function logLevel(said: string): LogLevel {
  const word = said.toUpperCase()
  return LOG_LEVELS.find((level) => level === word) ?? LEVELS[word] ?? 'INFO'
}

/** The text before `:` names the source; what is none of the five is SYSTEM (fleet.md §3.6). */
export function logSource(said: string | undefined): LogSource {
  const word = (said ?? '').split(':')[0]?.trim().toUpperCase()
  return LOG_SOURCES.find((source) => source === word) ?? 'SYSTEM'
}

/** `heartbeat:lost` is HEARTBEAT_LOST; a word that is not known stays unknown and never becomes DEPLOY (fleet.md §3.16). */
export function eventType(said: string): EventType | undefined {
  const word = said.toUpperCase().replaceAll(/[:.\-\s]/g, '_')
  return EVENT_TYPES.find((type) => type === word)
}
