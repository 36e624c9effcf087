import type { ChatMessage } from '@wheelhouse/contract/jobs/runs'
import { Fault } from '@wheelhouse/contract'
import { ids, type Instant, iso } from '../../kernel/clock/index.ts'
import type { Principal } from '../../kernel/identity/index.ts'
import type { MemoryEvent } from '../../kernel/memory/index.ts'

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)

/** jobs.md §8: `assistant` and roles that nobody knows are an agent's. */
const roleOf = (role: string): ChatMessage['role'] => (role === 'user' || role === 'system' ? role : 'agent')

/** A memory's event as a message of the run. */
export function shownMessage(runId: string, index: number, event: MemoryEvent): ChatMessage {
  const metadata = event['metadata']
  const optional = Object.fromEntries(
    (['step_id', 'job_id', 'agent_id', 'agent_name'] as const).flatMap((name) => {
      const value = text(event[name])
      return value === undefined ? [] : [[name, value]]
    }),
  )
  return {
    id: event.id ?? `${runId}-${index}`,
    run_id: runId,
    role: roleOf(event.role),
    content: event.content,
    ...optional,
    created_at: iso(Math.round(event.ts * 1000)),
    ...(typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata)
      ? { metadata: metadata as Record<string, unknown> }
      : {}),
  }
}

export interface NewMessage {
  content?: string
  role?: string
  step_id?: string
  job_id?: string
  agent_id?: string
  agent_name?: string
  metadata?: Record<string, unknown>
}

const ROLES: Readonly<Record<string, ChatMessage['role']>> = {
  user: 'user',
  agent: 'agent',
  assistant: 'agent',
  system: 'system',
}

/** A message as it is stored. Only administrators speak as agent or system; anybody else is a user (jobs.md §8). */
export function readMessage(principal: Principal, given: NewMessage, now: Instant): MemoryEvent {
  const content = given.content?.trim() ?? ''
  if (content === '') throw new Fault('VAL_SCHEMA', {}, { message: 'content required' })
  const asked = Object.hasOwn(ROLES, given.role ?? 'user') ? ROLES[given.role ?? 'user'] : undefined
  if (asked === undefined) throw new Fault('VAL_SCHEMA', {}, { message: 'role must be user, agent or system' })
  const admin = principal.roles.includes('admin') || principal.roles.includes('platform-admin')
  const { step_id, job_id, agent_id, agent_name, metadata } = given
  return {
    id: ids.next(),
    role: admin ? asked : 'user',
    content,
    ts: now / 1000,
    ...(step_id === undefined ? {} : { step_id }),
    ...(job_id === undefined ? {} : { job_id }),
    ...(agent_id === undefined ? {} : { agent_id }),
    ...(agent_name === undefined ? {} : { agent_name }),
    ...(metadata === undefined ? {} : { metadata }),
  }
}

/** jobs.md §19.3: as the sockets of the stream get it. */
export const chatFrame = (message: ChatMessage): Record<string, unknown> => ({
  traceId: message.id,
  senderId: 'api-gateway',
  createdAt: message.created_at,
  protocolVersion: 1,
  payload: {
    chatMessage: {
      id: message.id,
      runId: message.run_id,
      role: message.role,
      content: message.content,
      ...(message.step_id === undefined ? {} : { stepId: message.step_id }),
      ...(message.job_id === undefined ? {} : { jobId: message.job_id }),
      ...(message.agent_id === undefined ? {} : { agentId: message.agent_id }),
      ...(message.agent_name === undefined ? {} : { agentName: message.agent_name }),
      createdAt: message.created_at,
      ...(message.metadata === undefined ? {} : { metadata: message.metadata }),
    },
  },
})

/** Under which name the feed carries such frames to the stream's sockets. */
export const CHAT_TOPIC = 'run.chat'
