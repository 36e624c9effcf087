import type { InstanceEvent } from '../../api/wire.ts'
import type { Status } from '../../ui/status.tsx'

const WORDS: Record<string, { status: Status; word: string }> = {
  DEPLOY: { status: 'ok', word: 'Deployed' },
  REDEPLOY: { status: 'ok', word: 'Deployed again' },
  CONNECT: { status: 'ok', word: 'Agent connected' },
  DISCONNECT: { status: 'unknown', word: 'Agent left' },
  BACKUP: { status: 'ok', word: 'Backed up' },
  RESTORE: { status: 'ok', word: 'Restored' },
  DESTROY: { status: 'off', word: 'Destroyed' },
  SUSPEND: { status: 'off', word: 'Suspended' },
  RESUME: { status: 'ok', word: 'Resumed' },
  EXTENSION_INSTALL: { status: 'ok', word: 'Extension installed' },
  EXTENSION_REMOVE: { status: 'off', word: 'Extension removed' },
  HEARTBEAT_LOST: { status: 'failed', word: 'Heartbeat lost' },
  HEARTBEAT_RECOVERED: { status: 'ok', word: 'Heartbeat back' },
  ERROR: { status: 'failed', word: 'Failed' },
}

/** Events that a chart marks: what may have changed how the machine behaves. */
export const MARKED_EVENTS: ReadonlySet<string> = new Set([
  'DEPLOY',
  'REDEPLOY',
  'RESTORE',
  'RESUME',
  'EXTENSION_INSTALL',
  'EXTENSION_REMOVE',
  'HEARTBEAT_LOST',
  'ERROR',
])

/** An event as a sentence begins: its shape, its word, and what the event itself adds. */
export function eventWords(event: Pick<InstanceEvent, 'type' | 'metadata'>): {
  status: Status
  word: string
  detail: string
} {
  const known = WORDS[event.type] ?? {
    status: 'unknown',
    word: event.type.slice(0, 1) + event.type.slice(1).toLowerCase().replaceAll('_', ' '),
  }
  const detail = Object.entries(event.metadata ?? {})
    .filter(([, value]) => typeof value === 'string' || typeof value === 'number')
    .map(([name, value]) => `${name.replaceAll('_', ' ')} ${value}`)
    .join(', ')
  return { ...known, detail }
}
