import { Fault } from '@wheelhouse/contract'
import { RequestError, TimeoutError, type NatsConnection } from '@nats-io/transport-node'
import { signJwt, type GenericClaims } from './jwt.ts'
import type { Nkey } from './nkeys.ts'

/** Speaks to the server's account resolver over a connection in SYS (platform.md §8.5). */
export interface Resolver {
  /**
   * Stores an account JWT, and reads it back: the update's own answer is "updated" also for claims that do nothing. False when
   * another one is stored, by somebody who pushed meanwhile. Safe to repeat. Throws SYS_UNAVAILABLE.
   */
  push(account: string, jwt: string): Promise<boolean>
  /** Removes accounts; their connections are dropped and their credentials refused. Unknown ones are fine. */
  remove(accounts: readonly string[]): Promise<void>
  /** The stored JWT. The server keeps silent about an account that it does not know: undefined after 1 s. */
  lookup(account: string): Promise<string | undefined>
  /** Who is connected in an account, and on what each listens. At most 1,024. Throws SYS_UNAVAILABLE. */
  connections(account: string): Promise<{ user: string; subjects: readonly string[] }[]>
}

interface Connz {
  data?: { connections?: { authorized_user?: string; subscriptions_list?: string[] }[] }
}

interface Answer {
  error?: { code?: number; description?: string }
}

const TIMEOUT_MS = 5_000
const SILENCE_MS = 1_000

export function openResolver(sys: NatsConnection, operator: Nkey, nowSeconds: () => number): Resolver {
  async function ask(subject: string, body: string): Promise<string> {
    try {
      return (await sys.request(subject, body, { timeout: TIMEOUT_MS })).string()
    } catch (cause) {
      return unavailable(cause)
    }
  }

  async function stored(account: string): Promise<string | undefined> {
    try {
      const subject = `$SYS.REQ.ACCOUNT.${account}.CLAIMS.LOOKUP`
      return (await sys.request(subject, '', { timeout: SILENCE_MS })).string() || undefined
    } catch (cause) {
      return cause instanceof TimeoutError ? undefined : unavailable(cause)
    }
  }

  async function claims(subject: string, body: string): Promise<void> {
    const answer = JSON.parse(await ask(subject, body)) as Answer
    if (answer.error)
      throw new Fault('SYS_UNAVAILABLE', { part: 'bus', reason: answer.error.description ?? 'the resolver refused' })
  }

  return {
    async push(account, jwt) {
      await claims('$SYS.REQ.CLAIMS.UPDATE', jwt)
      return (await stored(account)) === jwt
    },
    async remove(accounts) {
      const nats: GenericClaims = { type: 'generic', version: 2, accounts }
      const grant = { subject: operator.publicKey, name: 'remove', issuedAt: nowSeconds(), nats }
      await claims('$SYS.REQ.CLAIMS.DELETE', signJwt(operator, grant))
    },
    lookup: stored,
    async connections(account) {
      const asked = JSON.stringify({ auth: true, subscriptions: true, limit: 1024 })
      const { data } = JSON.parse(await ask(`$SYS.REQ.ACCOUNT.${account}.CONNZ`, asked)) as Connz
      return (data?.connections ?? []).map((each) => ({
        user: each.authorized_user ?? '',
        subjects: each.subscriptions_list ?? [],
      }))
    },
  }
}

function unavailable(cause: unknown): never {
  if (cause instanceof TimeoutError || cause instanceof RequestError)
    throw new Fault('SYS_UNAVAILABLE', { part: 'bus' }, { cause, retryAfterMs: 1000 })
  throw cause
}
