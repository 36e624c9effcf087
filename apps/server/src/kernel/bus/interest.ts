import type { NatsConnection } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import type { Clock } from '../clock/index.ts'
import { listen } from './message.ts'

const SUBJECT = 'wh.interest'
const SAY_MS = 5_000
/** Who has not said for so long what it listens to is gone. */
const BELIEVED_MS = 16_000
/** After a start or a reconnection everything is taken as wanted until the others had time to speak. */
const GRACE_MS = 2_000
/** Who listens to more than this says so instead of naming them. */
const MOST = 5_000

interface Said {
  from: string
  /** All it listens to; 'any': too many to name. */
  all?: readonly string[] | 'any'
  add?: string
  drop?: string
  /** It has just come and knows nobody. */
  hello?: true
}

/** Which live subjects other replicas listen to: what none of them hears need not be made for them. Errs only towards publishing. */
export interface Interest {
  elsewhere(subject: string): boolean
  /** Somebody here listens. Returns the way out. */
  hold(subject: string): () => void
  /** The connection is back: what the others said meanwhile was lost. */
  reconnected(): void
  close(): void
}

/** @param self of this replica alone. */
export function openInterest(connection: NatsConnection, self: string, clock: Clock, log: Logger): Interest {
  const mine = new Map<string, number>()
  const others = new Map<string, { subjects: Set<string> | 'any'; until: number }>()
  let knownFrom = clock.now() + GRACE_MS

  function say(said: Omit<Said, 'from'>): void {
    if (connection.isClosed()) return
    connection.publish(SUBJECT, Buffer.from(JSON.stringify({ from: self, ...said } satisfies Said)))
  }
  const sayAll = (): void => say({ all: mine.size > MOST ? 'any' : [...mine.keys()] })

  const listening = listen(connection, log, SUBJECT, undefined, ({ data }) => {
    const { from, all, add, drop, hello } = JSON.parse(Buffer.from(data).toString()) as Said
    if (from === self) return
    if (hello) sayAll()
    const until = clock.now() + BELIEVED_MS
    const known = others.get(from)
    if (all !== undefined) others.set(from, { subjects: all === 'any' ? 'any' : new Set(all), until })
    else if (add !== undefined) {
      if (!known) others.set(from, { subjects: new Set([add]), until })
      else if (known.subjects !== 'any') known.subjects.add(add)
    } else if (drop !== undefined && known && known.subjects !== 'any') known.subjects.delete(drop)
  })
  const timer = setInterval(() => {
    const now = clock.now()
    for (const [from, { until }] of others) if (until < now) others.delete(from)
    sayAll()
  }, SAY_MS)
  timer.unref()
  say({ hello: true })

  return {
    elsewhere(subject) {
      for (const { subjects } of others.values()) if (subjects === 'any' || subjects.has(subject)) return true
      return clock.now() < knownFrom
    },
    hold(subject) {
      const count = mine.get(subject) ?? 0
      mine.set(subject, count + 1)
      if (count === 0) say({ add: subject })
      let held = true
      return () => {
        if (!held) return
        held = false
        const left = (mine.get(subject) ?? 1) - 1
        if (left > 0) mine.set(subject, left)
        else {
          mine.delete(subject)
          say({ drop: subject })
        }
      }
    },
    reconnected() {
      knownFrom = clock.now() + GRACE_MS
      sayAll()
      say({ hello: true })
    },
    close() {
      clearInterval(timer)
      listening.close()
    },
  }
}
