import { Terminal } from 'lucide-react'
import { useEffect, useMemo, useRef, useState } from 'react'
import { closeTerminal, openTerminal } from '../../api/fleet.ts'
import { failureOf } from '../../api/failure.ts'
import { socketUrl } from '../../api/live.ts'
import { useRefusal } from '../../app/allowed.ts'
import { Button } from '../../ui/button.tsx'
import { Note } from '../../ui/banner.tsx'
import { EmptyState } from '../../ui/states.tsx'
import { TerminalView, type TerminalLink } from '../../ui/terminal-view.tsx'

const CLOSE_WORDS: Record<number, string> = {
  1000: 'The shell ended.',
  1001: 'The server or the agent closed it.',
  1008: 'The server did not accept the session.',
  4001: 'You are not signed in any more.',
  4004: 'The session is not there any more.',
  4503: 'The agent of this instance is not connected.',
}

/** A shell on the instance: opened on demand, recorded, left with esc esc. */
export function TerminalTab(props: { id: string; name: string }) {
  const { id } = props
  const refusal = useRefusal()
  const [session, setSession] = useState<string>()
  const [busy, setBusy] = useState(false)
  const [said, setSaid] = useState<string>()
  const [size, setSize] = useState('')
  const opener = useRef<HTMLButtonElement>(null)

  // Leaving the tab ends the session on the server.
  useEffect(() => {
    if (!session) return
    return () => void closeTerminal(id, session).catch(() => undefined)
  }, [id, session])

  const link = useMemo<TerminalLink | undefined>(() => {
    if (!session) return undefined
    let socket: WebSocket | undefined
    const send = (frame: unknown) => socket?.readyState === WebSocket.OPEN && socket.send(JSON.stringify(frame))
    return {
      send: (data) => send({ type: 'data', data }),
      resize: (cols, rows) => {
        setSize(`${cols}×${rows}`)
        send({ type: 'resize', cols, rows })
      },
      open(write, cols, rows) {
        setSize(`${cols}×${rows}`)
        const bytes = new TextDecoder()
        const made = new WebSocket(socketUrl(`/ws/terminal/${session}`))
        made.binaryType = 'arraybuffer'
        socket = made
        made.addEventListener('open', () => send({ type: 'resize', cols, rows }))
        made.addEventListener('message', ({ data }) => {
          if (data instanceof ArrayBuffer) write(bytes.decode(data, { stream: true }))
          else {
            const frame = JSON.parse(String(data)) as { type?: string; data?: string }
            if (frame.type === 'data' && frame.data !== undefined) write(frame.data)
          }
        })
        made.addEventListener('close', ({ code, reason }) => {
          if (socket !== made) return
          setSession(undefined)
          setSaid(reason || CLOSE_WORDS[code] || 'The connection was lost. The shell goes on for five minutes.')
        })
        return () => {
          socket = undefined
          made.close()
        }
      },
    }
  }, [session])

  const open = async () => {
    setBusy(true)
    setSaid(undefined)
    try {
      setSession((await openTerminal(id)).sessionId)
    } catch (error) {
      const failure = failureOf(error)
      setSaid(failure.rule ? `${failure.message} Rule ${failure.rule}.` : failure.message)
    } finally {
      setBusy(false)
    }
  }

  if (link) {
    return (
      <TerminalView
        link={link}
        label={`Terminal on ${props.name}`}
        foot={
          <>
            <span>recorded as evidence</span>
            <span aria-hidden>·</span>
            <span>ends after an hour without a key</span>
            <span aria-hidden>·</span>
            <span className="num">{size}</span>
          </>
        }
        onLeave={() => document.getElementById('page')?.focus()}
      />
    )
  }
  return (
    <>
      {said && (
        <div className="px-4 pt-4 wide:px-5">
          <Note status="unknown">{said}</Note>
        </div>
      )}
      <EmptyState
        icon={Terminal}
        title={`A shell on ${props.name}`}
        acts={
          <Button
            ref={opener}
            tone="primary"
            size="sm"
            busy={busy}
            off={refusal('fleet', 'POST', '/api/v1/instances/{id}/terminal')}
            onClick={() => void open()}
          >
            Open the terminal
          </Button>
        }
      >
        It runs as the user of the agent. What is typed and shown is recorded as evidence. Press esc twice to leave it.
      </EmptyState>
    </>
  )
}
