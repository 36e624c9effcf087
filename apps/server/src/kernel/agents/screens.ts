/** What a terminal wrote lately, for whoever looks at it again: the last 256 KiB (fleet.md 3.6). */
const KEPT_BYTES = 256 * 1024
/** A terminal that nobody looks at lives five minutes (fleet.md 3.6). */
const DETACHED_MS = 5 * 60_000

interface Screen {
  parts: Buffer[]
  bytes: number
  watched: boolean
  timer?: NodeJS.Timeout
}

/** The terminals of one agent connection, kept where the connection is. */
export class Screens {
  readonly #screens = new Map<string, Screen>()
  readonly #expire: (sessionId: string) => void
  readonly #detachedMs: number

  constructor(expire: (sessionId: string) => void, detachedMs = DETACHED_MS) {
    this.#expire = expire
    this.#detachedMs = detachedMs
  }

  has(sessionId: string): boolean {
    return this.#screens.has(sessionId)
  }

  /** A terminal is there; its five minutes begin unless somebody looks at it. */
  add(sessionId: string): void {
    if (this.#screens.has(sessionId)) return
    this.#screens.set(sessionId, { parts: [], bytes: 0, watched: false })
    this.watched(sessionId, false)
  }

  write(sessionId: string, data: Buffer): void {
    const screen = this.#screens.get(sessionId)
    if (!screen) return
    screen.parts.push(data)
    screen.bytes += data.length
    while (screen.bytes - (screen.parts[0]?.length ?? 0) >= KEPT_BYTES)
      screen.bytes -= screen.parts.shift()?.length ?? 0
  }

  replay(sessionId: string): Buffer {
    const all = Buffer.concat(this.#screens.get(sessionId)?.parts ?? [])
    return all.subarray(Math.max(0, all.length - KEPT_BYTES))
  }

  watched(sessionId: string, watched: boolean): void {
    const screen = this.#screens.get(sessionId)
    if (!screen) return
    screen.watched = watched
    clearTimeout(screen.timer)
    screen.timer = watched ? undefined : setTimeout(() => this.#expire(sessionId), this.#detachedMs)
    screen.timer?.unref()
  }

  remove(sessionId: string): void {
    clearTimeout(this.#screens.get(sessionId)?.timer)
    this.#screens.delete(sessionId)
  }

  clear(): void {
    for (const sessionId of this.#screens.keys()) this.remove(sessionId)
  }
}
