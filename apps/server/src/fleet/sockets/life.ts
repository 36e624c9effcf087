import type { WebSocket } from 'ws'
import { type Clock, type Instant, pause } from '../../kernel/clock/index.ts'
import type { Principal } from '../../kernel/identity/index.ts'

const MAX_WAIT_MS = 24 * 3_600_000

/** A signal that aborts when the socket closes; the socket is closed (1008) when the credential that opened it ends. */
export function lifeOf(socket: WebSocket, principal: Principal, clock: Clock): AbortSignal {
  const gone = new AbortController()
  socket.once('close', () => gone.abort())
  const { expiresAt } = principal
  if (expiresAt !== undefined) closeAt(expiresAt, socket, clock, gone.signal).catch(() => undefined)
  return gone.signal
}

async function closeAt(expiresAt: Instant, socket: WebSocket, clock: Clock, gone: AbortSignal): Promise<void> {
  for (let left = expiresAt - clock.now(); left > 0; left = expiresAt - clock.now())
    await pause(Math.min(left, MAX_WAIT_MS), gone)
  socket.close(1008, 'the credential has expired')
}
