import { Fault } from '@wheelhouse/contract'
import type { AgentMessage } from '@wheelhouse/sdk/agent-protocol'
import { CHUNK_BYTES } from '@wheelhouse/sdk/agent-protocol'
import { ids } from '../clock/index.ts'
import type { Switchboard } from './switchboard.ts'
import { terminalTopic } from './topics.ts'

export interface TerminalRequest {
  agentId: string
  /** Chosen by the caller where it must be known before; at most 128 characters. */
  sessionId?: string
  cols: number
  rows: number
  shell?: string
  cwd?: string
  env?: Readonly<Record<string, string>>
}

export interface TerminalWatcher {
  output(data: Buffer): void
  /** The shell has ended; nothing follows. */
  closed(end: { exitCode: number; reason?: string }): void
}

/** A terminal that somebody looks at. */
export interface AttachedTerminal {
  sessionId: string
  /** What it wrote lately, at most 256 KiB; `output` goes on from there. */
  replay: Buffer
  input(data: Buffer): void
  resize(cols: number, rows: number): void
  /** Stops looking. The shell goes on for five minutes. */
  detach(): void
  /** Ends the shell. */
  close(): void
}

export interface Terminals {
  /**
   * Opens a shell and attaches to it. Throws AGENT_OFFLINE, or SYS_UNAVAILABLE when the agent cannot open it or says nothing for 5 s
   * (a base agent is silent about failures: fleet.md 3.16).
   */
  open(request: TerminalRequest, watcher: TerminalWatcher): Promise<AttachedTerminal>
  /** Attaches to a running one, on whichever replica it was opened. Throws RES_NOT_FOUND when it has ended. */
  attach(agentId: string, sessionId: string, watcher: TerminalWatcher): Promise<AttachedTerminal>
  /** Ends a shell without attaching to it. */
  close(agentId: string, sessionId: string): void
}

const OPEN_MS = 5_000

export function openTerminals(switchboard: Switchboard): Terminals {
  function closeSession(agentId: string, sessionId: string): void {
    const session = { session_id: sessionId }
    switchboard.tell(agentId, { message: { type: 'terminal:close', ...session, payload: session } })
  }

  /** Turns an agent's messages into calls. A new connection of the agent may have lost the session, or be on another replica. */
  function follow(agentId: string, sessionId: string, watcher: TerminalWatcher): { seat: string; stop(): void } {
    const seat = ids.next()
    const topic = terminalTopic(sessionId)
    const hear = (message: AgentMessage) => {
      if (message.type === 'terminal:output') watcher.output(Buffer.from(message.payload.data, 'base64'))
      else if (message.type === 'terminal:closed') {
        const { exit_code: exitCode, reason } = message.payload
        stop()
        watcher.closed({ exitCode, ...(reason !== undefined && { reason }) })
      }
    }
    const undo = [switchboard.listen(agentId, topic, hear, seat), switchboard.onConnected(agentId, () => void again())]
    let stopped = false
    function stop(): void {
      if (stopped) return
      stopped = true
      for (const each of undo) each()
      switchboard.tell(agentId, { unwatch: topic, seat })
    }
    async function again(): Promise<void> {
      try {
        const { known } = await switchboard.call(agentId, { watch: topic, seat })
        if (known || stopped) return
        stop()
        watcher.closed({ exitCode: -1, reason: 'the agent was restarted' })
      } catch {
        // Away again: the next connection is heard of, too.
      }
    }
    return { seat, stop }
  }

  function handle(agentId: string, sessionId: string, replay: Buffer, detach: () => void): AttachedTerminal {
    const session = { session_id: sessionId }
    return {
      sessionId,
      replay,
      input(data) {
        for (let from = 0; from < data.length; from += CHUNK_BYTES) {
          const part = data.subarray(from, from + CHUNK_BYTES).toString('base64')
          switchboard.tell(agentId, {
            message: { type: 'terminal:input', ...session, payload: { ...session, data: part } },
          })
        }
      },
      resize: (cols, rows) =>
        switchboard.tell(agentId, {
          message: { type: 'terminal:resize', ...session, payload: { ...session, cols, rows } },
        }),
      detach,
      close() {
        closeSession(agentId, sessionId)
        detach()
      },
    }
  }

  return {
    async open(request, watcher) {
      const { agentId, sessionId = ids.next(), cols, rows, shell, cwd, env } = request
      const topic = terminalTopic(sessionId)
      const opened = Promise.withResolvers<void>()
      const { seat, stop } = follow(agentId, sessionId, watcher)
      const stopListening = switchboard.listen(
        agentId,
        topic,
        (message) => {
          if (message.type === 'terminal:error') opened.reject(cannotOpen(agentId, message.payload.message))
          else opened.resolve()
        },
        seat,
      )
      const late = setTimeout(() => opened.reject(cannotOpen(agentId, 'The agent did not open the terminal')), OPEN_MS)
      try {
        const payload = { session_id: sessionId, cols, rows, shell, cwd, env: env && { ...env } }
        const message = { type: 'terminal:create' as const, session_id: sessionId, payload }
        await Promise.all([switchboard.call(agentId, { watch: topic, seat, message }), opened.promise])
        return handle(agentId, sessionId, Buffer.alloc(0), stop)
      } catch (error) {
        stop()
        throw error
      } finally {
        clearTimeout(late)
        stopListening()
      }
    },

    async attach(agentId, sessionId, watcher) {
      // What arrives before the replay has been handed out comes after it.
      let early: Buffer[] | undefined = []
      const { seat, stop } = follow(agentId, sessionId, {
        output: (data) => (early ? void early.push(data) : watcher.output(data)),
        closed: (end) => watcher.closed(end),
      })
      try {
        const { known, replay = '' } = await switchboard.call(agentId, { watch: terminalTopic(sessionId), seat })
        if (known !== true) throw new Fault('RES_NOT_FOUND', { kind: 'terminal', id: sessionId })
        const all = Buffer.concat([Buffer.from(replay, 'base64'), ...early])
        early = undefined
        return handle(agentId, sessionId, all, stop)
      } catch (error) {
        stop()
        throw error
      }
    },

    close: closeSession,
  }
}

const cannotOpen = (agentId: string, message: string) =>
  new Fault('SYS_UNAVAILABLE', { part: 'agent', agentId }, { message })
