/** One event of a text/event-stream; `event` is `message` where the server names none. */
export interface ServerEvent {
  event: string
  /** The id of this event or the last one before it; '' when the stream carries none. */
  id: string
  data: string
}

/** Reads a text/event-stream to its end (HTML standard, server-sent events). Comments are dropped; an event cut off at the end is not given. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent, void, undefined> {
  const decoder = new TextDecoder()
  const reader = body.getReader()
  let rest = ''
  let id = ''
  let event = ''
  let data: string[] = []
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      rest += decoder.decode(value, { stream: true })
      // A carriage return at the very end may be half of a line break.
      const usable = rest.endsWith('\r') ? rest.length - 1 : rest.length
      const lines = rest.slice(0, usable).split(/\r\n|\n|\r/)
      rest = (lines.pop() ?? '') + rest.slice(usable)
      for (const line of lines) {
        if (line === '') {
          if (data.length > 0) yield { event: event || 'message', id, data: data.join('\n') }
          event = ''
          data = []
          continue
        }
        const colon = line.indexOf(':')
        const field = colon === -1 ? line : line.slice(0, colon)
        const text = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '')
        if (field === 'data') data.push(text)
        else if (field === 'event') event = text
        else if (field === 'id' && !text.includes('\0')) id = text
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}
