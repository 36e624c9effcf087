import { setTimeout as pause } from 'node:timers/promises'
import { moment } from './cells.ts'
import type { Call } from './command.ts'
import { EXIT } from './exit.ts'
import { durationMs } from './flags.ts'

/**
 * Asks again and again and shows what changed, until Ctrl-C. A terminal is redrawn; elsewhere each change follows the last one, so
 * that a pipe gets every state once.
 */
export async function watching<T extends { body: unknown }>(
  call: Call,
  ask: () => Promise<T>,
  show: (answer: T) => void,
): Promise<number> {
  const { io, voice, format } = call
  const redraw = io.stdout.isTTY === true && format === 'table'
  const everyMs = Math.max(100, durationMs(call.flags.text('every') ?? '2s'))
  let before: string | undefined
  while (!call.signal.aborted) {
    const answer = await ask()
    const now = JSON.stringify(answer.body)
    if (redraw || now !== before) {
      if (redraw) voice.write('\u001b[H\u001b[2J')
      show(answer)
      if (redraw) voice.say(voice.tint('dim', `${moment(Date.now())} · Ctrl-C ends`))
      before = now
    }
    await pause(everyMs, undefined, { signal: call.signal }).catch(() => undefined)
  }
  return EXIT.interrupted
}
