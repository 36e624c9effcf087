import type { AuditEntry } from '../../api/wire.ts'
import type { Status } from '../../ui/status.tsx'

export const AUDIT_ACTIONS = [
  'CREATE',
  'UPDATE',
  'DELETE',
  'LOGIN',
  'LOGOUT',
  'DEPLOY',
  'DESTROY',
  'SUSPEND',
  'RESUME',
  'EXECUTE',
  'CONNECT',
  'DISCONNECT',
  'PERMISSION_CHANGE',
  'TEAM_ADD',
  'TEAM_REMOVE',
] as const

const VERBS: Record<string, string> = {
  CREATE: 'created',
  UPDATE: 'changed',
  DELETE: 'deleted',
  LOGIN: 'signed in',
  LOGOUT: 'signed out',
  DEPLOY: 'deployed',
  DESTROY: 'destroyed',
  SUSPEND: 'suspended',
  RESUME: 'resumed',
  EXECUTE: 'ran',
  CONNECT: 'connected to',
  DISCONNECT: 'left',
  PERMISSION_CHANGE: 'changed the rights of',
  TEAM_ADD: 'added to a team',
  TEAM_REMOVE: 'removed from a team',
}

/** A row of the trail as a sentence: who, did what, to what. */
export function auditWords(entry: AuditEntry): { status: Status; who: string; did: string; what: string; id: string } {
  const outcome = entry.metadata?.['outcome']
  const who = entry.userName ?? entry.userEmail ?? entry.userId ?? String(entry.metadata?.['actorName'] ?? 'the system')
  const { did, what, id } = deedOf(entry)
  return {
    status: outcome === 'denied' ? 'denied' : outcome === 'failed' ? 'failed' : 'ok',
    who,
    did: `${outcome === 'denied' ? 'was denied: ' : outcome === 'failed' ? 'failed: ' : ''}${did}`,
    what,
    id,
  }
}

/** What people call it, where the names of the action and of what it was done to do not say so. */
function deedOf(entry: AuditEntry): { did: string; what: string; id: string } {
  const id = entry.resourceId ?? ''
  const [, place, job = ''] = /^(res|ctx):(.+)$/.exec(entry.resource === 'memory' ? id : '') ?? []
  if (place) return { did: 'stored', what: place === 'res' ? 'the result of job' : 'the input of job', id: job }
  if (entry.resource === 'session' && entry.action === 'CREATE') return { did: 'signed in,', what: 'session', id }
  if (entry.resource === 'session' && entry.action === 'DELETE') return { did: 'signed out,', what: 'session', id }
  // An agent registers at each of its starts: mostly there is an instance of it already.
  if (entry.metadata?.['verb'] === 'instance.register') return { did: 'registered', what: 'instance', id }
  return {
    did: VERBS[entry.action] ?? entry.action.toLowerCase().replaceAll('_', ' '),
    what: entry.resource.replaceAll('_', ' '),
    id,
  }
}

/** An id that fits a line: of a long one its two ends, which is what tells it from its neighbours. */
export function shortId(id: string): string {
  return id.length <= 26 ? id : `${id.slice(0, 8)}…${id.slice(-14)}`
}
