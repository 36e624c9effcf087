import type { ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { EventStream } from './context.ts'

const KEEP_ALIVE_MS = 15_000

/** Turns a reply into a text/event-stream. A comment every 15 s keeps proxies from closing it; a slow reader slows the writer. */
export function openEventStream(
  response: ServerResponse,
  headers: Readonly<Record<string, string | string[]>>,
  stop: AbortSignal,
): EventStream & { end(): void } {
  response.writeHead(200, {
    ...headers,
    'Content-Type': 'text/event-stream; charset=utf-8',
    'Cache-Control': 'no-cache, no-transform',
    Connection: 'keep-alive',
    'X-Accel-Buffering': 'no',
  })
  response.flushHeaders()
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const signal = AbortSignal.any([gone.signal, stop])
  const write = async (text: string): Promise<void> => {
    if (signal.aborted) return
    if (!response.write(text)) await once(response, 'drain', { signal }).catch(() => undefined)
  }
  const keepAlive = setInterval(() => void write(': keep-alive\n\n'), KEEP_ALIVE_MS)
  signal.addEventListener('abort', () => clearInterval(keepAlive), { once: true })
  return {
    signal,
    comment: (text) => write(`: ${text}\n\n`),
    send({ event, id, data }) {
      const lines = JSON.stringify(data)
      return write(
        `${event === undefined ? '' : `event: ${event}\n`}${id === undefined ? '' : `id: ${id}\n`}data: ${lines}\n\n`,
      )
    },
    end() {
      clearInterval(keepAlive)
      response.end()
    },
  }
}
