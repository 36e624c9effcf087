import type { Call, Command } from '../command.ts'
import { CliError, EXIT } from '../exit.ts'
import { tellHeld } from './follow.ts'
import { instanceIds } from './instance-ids.ts'

/** Ctrl-], as telnet knows it: leaves, wherever the shell hangs. */
const LEAVE = 0x1d
const END_OF_INPUT = '\u0004'
const NORMAL_CLOSURE = 1000

const CLOSED: Readonly<Record<number, string>> = {
  1001: 'The server or the agent closed it.',
  1008: 'The server did not accept the session.',
  4001: 'You are not logged in any more.',
  4004: 'The session is not there any more.',
  4503: 'The agent of this machine is not connected.',
}

/** A shell on a machine, in this terminal. Without a terminal, lines of stdin are typed into it. */
export const shell: Command = {
  name: 'shell',
  aliases: ['sh', 'terminal'],
  summary: 'A shell on a machine, in this terminal (Ctrl-] leaves)',
  args: ['id'],
  complete: instanceIds,
  examples: ['wheelhouse instance shell my-host'],
  async run(call) {
    const { args, voice, signal } = call
    const id = args.one('id')
    const { client } = call.session()
    const opened = await client.fleet.terminals.openTerminal({ params: { id }, signal })
    if (opened.approvalRequired) {
      tellHeld(voice, opened.jobId ?? '', {})
      return EXIT.held
    }
    try {
      return await attend(call, opened.sessionId)
    } finally {
      await client.fleet.terminals.closeTerminal({ params: { id, sessionId: opened.sessionId } }).catch(() => undefined)
    }
  },
}

/** Joins our terminal to the one there until one of them ends. */
async function attend({ io, voice, session, signal }: Call, sessionId: string): Promise<number> {
  const { target, client } = session()
  const { ticket } = await client.fleet.tickets.createTicket({ signal })
  const url = new URL(`${target.url.replace(/^http/, 'ws')}/ws/terminal/${sessionId}`)
  url.searchParams.set('ticket', ticket)
  const socket = new WebSocket(url)
  socket.binaryType = 'arraybuffer'
  const { stdin, stdout } = io
  const send = (frame: object): void => {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame))
  }
  const resize = (): void => send({ type: 'resize', cols: stdout.columns ?? 80, rows: stdout.rows ?? 24 })
  const typed = (data: Buffer): void => {
    if (stdin.isTTY && data.includes(LEAVE)) socket.close(NORMAL_CLOSURE)
    else send({ type: 'data', data: data.toString('utf8') })
  }
  const ended = (): void => send({ type: 'data', data: END_OF_INPUT })
  const leave = (): void => socket.close(NORMAL_CLOSURE)
  signal.addEventListener('abort', leave, { once: true })
  try {
    return await new Promise<number>((resolve, reject) => {
      socket.addEventListener('open', () => {
        resize()
        if (stdin.isTTY) stdin.setRawMode(true)
        stdout.on('resize', resize)
        stdin.on('data', typed).once('end', ended).resume()
      })
      socket.addEventListener('message', ({ data }) => {
        if (data instanceof ArrayBuffer) return voice.write(new Uint8Array(data))
        const frame = JSON.parse(String(data)) as { type?: string; data?: string }
        if (frame.type === 'data' && frame.data !== undefined) voice.write(frame.data)
      })
      socket.addEventListener('close', ({ code, reason }) => {
        if (code === NORMAL_CLOSURE || signal.aborted) resolve(EXIT.ok)
        else reject(new CliError(EXIT.failed, reason || CLOSED[code] || 'The connection was lost.'))
      })
    })
  } finally {
    signal.removeEventListener('abort', leave)
    if (stdin.isTTY) {
      stdin.setRawMode(false)
      voice.say('')
    }
    stdin.off('data', typed).off('end', ended).pause()
    stdout.off('resize', resize)
  }
}
