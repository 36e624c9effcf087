import type { AgentMessage, ServerMessage } from '@wheelhouse/sdk/agent-protocol'

/** What a message is about: the thread between whoever asked and the answers, on whichever replica the two are. */
export type Topic = `task:${string}` | `terminal:${string}` | `request:${string}`

export const taskTopic = (taskId: string): Topic => `task:${taskId}`
export const terminalTopic = (sessionId: string): Topic => `terminal:${sessionId}`
export const requestTopic = (requestId: string): Topic => `request:${requestId}`

/** The topic of an agent's message; undefined for telemetry and introductions. */
export function topicOf(message: AgentMessage): Topic | undefined {
  const { payload, session_id } = message
  if (message.type.startsWith('terminal:')) return session_id === undefined ? undefined : terminalTopic(session_id)
  if ('task_id' in payload && typeof payload.task_id === 'string') return taskTopic(payload.task_id)
  if ('request_id' in payload && typeof payload.request_id === 'string') return requestTopic(payload.request_id)
  if ('command_id' in payload && typeof payload.command_id === 'string') return taskTopic(payload.command_id)
  return undefined
}

/** What a replica wants of the one that holds an agent's socket. */
export interface Control {
  /** The replica that asks and gets the answers; `replica/seat` where one of its listeners wants them for itself. */
  from: string
  /** Answers on this topic go to `from` from now on. */
  watch?: Topic
  unwatch?: Topic
  message?: ServerMessage
}

/** What the holder answers at once. */
export type Answer = { ok: true; replay?: string; known?: boolean } | { ok: false; reason: 'offline' | 'broken' }
