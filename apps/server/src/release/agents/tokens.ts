import { decodeJwt } from 'jose'
import type { Instant } from '../../kernel/clock/index.ts'
import type { RequestFacts } from '../../kernel/http/index.ts'
import type { Principal } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'

const HOUR_MS = 3_600_000

/** An agent's JWT lives as long as its certificate: without one, it is all that lets the agent back in after a night's outage. */
export const TOKEN_LIFE_MS = 24 * HOUR_MS

/** From here on a heartbeat brings another; well before the ten minutes that the document asks for, as with certificates. */
const RENEW_MS = 8 * HOUR_MS

/** Another JWT for an agent whose own ends soon; undefined when it lasts, or when the agent came with a key that does not end. */
export async function renewedToken(
  { tokens }: Kernel,
  principal: Principal,
  request: RequestFacts,
  now: Instant,
): Promise<string | undefined> {
  if (principal.credential !== 'token') return undefined
  const jwt = request.header('authorization')?.split(/\s+/)[1] ?? ''
  const { exp = 0 } = decodeJwt(jwt)
  if (exp * 1000 - now > RENEW_MS) return undefined
  const { expiresAt: _end, ...lasting } = principal
  return (await tokens.issue(lasting, TOKEN_LIFE_MS)).token
}
