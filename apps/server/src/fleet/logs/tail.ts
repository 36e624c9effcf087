import type { Log } from '@wheelhouse/contract/fleet/logs'
import type { Feed } from '../../kernel/events/index.ts'
import type { EventStream } from '../../kernel/http/index.ts'
import { LOG_TOPIC } from './store.ts'

/** Lines that wait for a slow reader; beyond it the oldest go, and the reader is told how many. */
const MOST_WAITING = 2000

/** Sends the new lines of some instances to a stream until its caller goes away. */
export async function tailLogs(
  feed: Feed,
  tenantId: string,
  instanceIds: ReadonlySet<string>,
  stream: EventStream,
): Promise<void> {
  const waiting: Log[] = []
  let dropped = 0
  let wake: (() => void) | undefined
  const leave = feed.subscribeLive(tenantId, [LOG_TOPIC], ({ data }) => {
    for (const line of data as Log[]) if (instanceIds.has(line.instanceId)) waiting.push(line)
    if (waiting.length > MOST_WAITING) dropped += waiting.splice(0, waiting.length - MOST_WAITING).length
    wake?.()
  })
  stream.signal.addEventListener('abort', () => wake?.(), { once: true })
  try {
    while (!stream.signal.aborted) {
      if (dropped > 0) await stream.comment(`${dropped} lines were left out: the reader is too slow`)
      dropped = 0
      const line = waiting.shift()
      if (line) await stream.send({ data: line })
      else
        await new Promise<void>((resolve) => {
          wake = resolve
        })
    }
  } finally {
    leave()
  }
}
