import { Fault } from '@wheelhouse/contract'
import type { AgentPayload, ServerMessage } from '@wheelhouse/sdk/agent-protocol'
import { ids } from '../clock/index.ts'
import type { Switchboard } from './switchboard.ts'
import { requestTopic } from './topics.ts'

type Listed = 'processes:listed' | 'inventory:listed' | 'logs:listed'
type Ask = Extract<ServerMessage, { type: 'processes:list' | 'inventory:list' | 'logs:files' }>

/** Asks for a list and collects its parts. Throws AGENT_OFFLINE when the agent is away or does not answer in time. */
export async function ask<T extends Listed>(
  switchboard: Switchboard,
  agentId: string,
  question: { type: Ask['type']; payload?: object },
  answer: T,
  timeoutMs: number,
): Promise<AgentPayload<T>[]> {
  const requestId = ids.next()
  const topic = requestTopic(requestId)
  const parts: AgentPayload<T>[] = []
  const complete = Promise.withResolvers<void>()
  const stop = switchboard.listen(agentId, topic, (message) => {
    if (message.type === 'request:failed') {
      complete.reject(new Fault('AGENT_CAPABILITY_MISSING', { agentId }, { message: message.payload.message }))
    } else if (message.type === answer) {
      const payload = message.payload as AgentPayload<T> & { last: boolean }
      parts.push(payload)
      if (payload.last) complete.resolve()
    }
  })
  const late = setTimeout(
    () =>
      complete.reject(
        new Fault('AGENT_OFFLINE', { agentId }, { message: 'The agent of this machine did not answer in time' }),
      ),
    timeoutMs,
  )
  try {
    const message = { type: question.type, payload: { ...question.payload, request_id: requestId } } as Ask
    await Promise.all([switchboard.call(agentId, { watch: topic, message }), complete.promise])
    return parts
  } finally {
    clearTimeout(late)
    stop()
    switchboard.tell(agentId, { unwatch: topic })
  }
}
