import { setTimeout as pause } from 'node:timers/promises'

/** What a caller who asks all the time was answered. */
export interface Probed {
  asked: number
  answered: number
  /** 503 with a Retry-After. */
  unavailable: number
  /** The connection was refused or broke: the server itself was not there. */
  refused: number
  slowestMs: number
  violations: string[]
}

const EVERY_MS = 50
const HANG_MS = 5_000

/**
 * Asks for something that needs the database, and submits something that needs the database too, again and again. Nobody may wait longer than
 * five seconds, whatever is dead; a refusal for the moment is a 503 that says when to come back.
 */
export class Prober {
  readonly probed: Probed = { asked: 0, answered: 0, unavailable: 0, refused: 0, slowestMs: 0, violations: [] }
  readonly #url: string
  readonly #key: string
  readonly #loops: Promise<void>[]
  #running = true

  constructor(url: string, key: string) {
    this.#url = url
    this.#key = key
    this.#loops = [
      this.#loop(() => ({ method: 'GET', path: '/api/v1/jobs?limit=1' })),
      this.#loop(() => ({ method: 'POST', path: '/api/v1/policy/evaluate', body: { topic: 'job.campaign.work' } })),
      this.#loop((n) => ({
        method: 'POST',
        path: '/api/v1/artifacts',
        body: { content: `probe ${n}`, content_type: 'text/plain' },
      })),
    ]
  }

  async stop(): Promise<Probed> {
    this.#running = false
    await Promise.all(this.#loops)
    return this.probed
  }

  async #loop(next: (n: number) => { method: string; path: string; body?: unknown }): Promise<void> {
    let n = 0
    while (this.#running) {
      await this.#ask(next(n++))
      await pause(EVERY_MS)
    }
  }

  async #ask({ method, path, body }: { method: string; path: string; body?: unknown }): Promise<void> {
    const { probed } = this
    const signal = AbortSignal.timeout(HANG_MS)
    const began = performance.now()
    probed.asked += 1
    try {
      const answer = await fetch(`${this.#url}${path}`, {
        method,
        signal,
        headers: {
          authorization: `Bearer ${this.#key}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await answer.text()
      probed.slowestMs = Math.max(probed.slowestMs, Math.round(performance.now() - began))
      if (answer.ok) probed.answered += 1
      else if (answer.status === 503 && Number(answer.headers.get('retry-after')) > 0) probed.unavailable += 1
      else
        this.#violate(
          `${method} ${path}: ${answer.status} ${text.slice(0, 150)}, Retry-After ${answer.headers.get('retry-after')}`,
        )
    } catch (error) {
      if (signal.aborted) this.#violate(`${method} ${path}: no answer within ${HANG_MS} ms`)
      else if (isRefusal(error)) probed.refused += 1
      else this.#violate(`${method} ${path}: ${String(error)}`)
    }
  }

  #violate(what: string): void {
    if (this.probed.violations.length < 50) this.probed.violations.push(what)
  }
}

/** What the transport says when a process is not there, or went while it answered. */
function isRefusal(error: unknown): boolean {
  const cause = (error as { cause?: { code?: string } }).cause ?? error
  return ['ECONNREFUSED', 'ECONNRESET', 'UND_ERR_SOCKET', 'EPIPE'].includes((cause as { code?: string }).code ?? '')
}
