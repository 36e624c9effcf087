import { Fault } from '@wheelhouse/contract'
import { stream } from '@wheelhouse/contract/jobs/stream'
import type { WebSocket } from 'ws'
import { pause } from '../../kernel/clock/index.ts'
import { type Db, sql } from '../../kernel/db/index.ts'
import { type Bound, serve } from '../../kernel/http/index.ts'
import type { Principal } from '../../kernel/identity/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { CHAT_TOPIC } from '../runs/chat.ts'

/** jobs.md §4: a client that reads so much too slowly loses its socket. */
const MOST_WAITING = 100
const RECHECK_MS = 120_000
/** §4, job stream: it closes so long after the terminal frame. */
const AFTER_END_MS = 5000

interface Streaming {
  principal: Principal
  /** Absent: all jobs and workers of the tenant. */
  jobId?: string
}

/** Sends frames to one socket until it closes, its reader is too slow, its credential ends or its job has ended. */
function follow(
  kernel: Pick<Kernel, 'authenticator' | 'clock' | 'jobs' | 'feed'>,
  socket: WebSocket,
  facts: Streaming,
): void {
  const { principal, jobId } = facts
  const closed = new AbortController()
  let waiting = 0

  function send(frame: string): void {
    if (waiting >= MOST_WAITING) {
      socket.close(1013, 'too slow')
      return
    }
    waiting += 1
    socket.send(frame, () => {
      waiting -= 1
    })
  }

  const leave = kernel.jobs.frames(principal.tenantId, ({ jobId: about, ends, text }) => {
    if (socket.readyState !== socket.OPEN || (jobId !== undefined && about !== jobId)) return
    send(text())
    if (jobId !== undefined && ends)
      void pause(AFTER_END_MS, closed.signal).then(
        () => socket.close(1000, 'the job has ended'),
        () => undefined,
      )
  })
  // Chat of runs is no packet of the bus (§19.3).
  const leaveChat =
    jobId === undefined
      ? kernel.feed.subscribeLive(principal.tenantId, [CHAT_TOPIC], ({ data }) => {
          if (socket.readyState === socket.OPEN) send(JSON.stringify(data))
        })
      : () => undefined
  socket.once('close', () => {
    leave()
    leaveChat()
    closed.abort()
  })
  void recheck(kernel, principal, closed.signal).then(
    (why) => socket.close(1008, why),
    () => undefined,
  )
}

/** Resolves when the credential of a socket is no longer good; rejects when the socket closes first. */
async function recheck(
  { authenticator, clock }: Pick<Kernel, 'authenticator' | 'clock'>,
  principal: Principal,
  signal: AbortSignal,
): Promise<string> {
  for (;;) {
    const left = (principal.expiresAt ?? Infinity) - clock.now()
    await pause(Math.max(1, Math.min(RECHECK_MS, left)), signal)
    if ((principal.expiresAt ?? Infinity) <= clock.now() || !(await authenticator.isLive(principal)))
      return 'the credential has ended'
  }
}

async function requireJob(db: Db, tenantId: string, jobId: string): Promise<void> {
  const job = await db.tenant(tenantId, (tx) => tx.maybe(sql`select 1 from jobs where id = ${jobId}`))
  if (!job) throw new Fault('JOB_NOT_FOUND')
}

/** jobs.md §4, §19. */
export const routes = (kernel: Kernel): Bound[] =>
  serve('jobs', stream, {
    streamEvents:
      ({ principal }) =>
      (socket) =>
        follow(kernel, socket, { principal }),
    async streamJob({ principal, params }) {
      await requireJob(kernel.db, principal.tenantId, params.id)
      return (socket) => follow(kernel, socket, { principal, jobId: params.id })
    },
  })
