import type { Logger } from 'pino'
import type { Authenticator, Principal } from '../identity/index.ts'

/** Ends sockets and streams whose caller may not have them any more: a credential ended, a principal was frozen. */
export interface Watch {
  /** `end` runs once, when that happens. Returns the way out for a connection that ends by itself. */
  add(principal: Principal, end: () => void): () => void
  /** Somebody's rights changed: all are asked for again, at once. */
  look(): void
  close(): void
}

/** Credentials also end by the clock, without anybody saying so. */
const EVERY_MS = 30_000

interface Watched {
  principal: Principal
  end(): void
}

export function openWatch(authenticator: Pick<Authenticator, 'isLive'>, log: Logger): Watch {
  const all = new Set<Watched>()
  let looking: Promise<void> | undefined
  let again = false
  const timer = setInterval(() => look(), EVERY_MS)
  timer.unref()

  /** One question a credential, however many connections it has. */
  async function lookOnce(): Promise<void> {
    const groups = Map.groupBy(all, ({ principal: { tenantId, id, keyId, sessionId, expiresAt } }) =>
      [tenantId, id, keyId, sessionId, expiresAt].join(' '),
    )
    for (const group of groups.values()) {
      const [first] = group
      if (!first || (await authenticator.isLive(first.principal))) continue
      for (const each of group) if (all.delete(each)) each.end()
    }
  }

  async function run(): Promise<void> {
    do {
      again = false
      await lookOnce().catch((error: unknown) => log.warn({ err: error }, 'Open connections could not be looked over'))
    } while (again)
    looking = undefined
  }

  function look(): void {
    again = true
    if (all.size > 0) looking ??= run()
  }

  return {
    add(principal, end) {
      const entry: Watched = { principal, end }
      all.add(entry)
      return () => void all.delete(entry)
    },
    look,
    close() {
      clearInterval(timer)
      all.clear()
    },
  }
}
