import type { EndEvent, StateEvent } from '@wheelhouse/contract/native/job-output'
import type { Call } from '../command.ts'
import { EXIT } from '../exit.ts'
import { followJob } from '../job-stream.ts'

export interface FollowOptions {
  /** Output of the job goes to the streams of the same name; else it is only heard. */
  showOutput: boolean
  /** Returns as soon as the job waits for approval, instead of waiting with it. */
  stopWhenHeld: boolean
  /** What Ctrl-C does to a job that waits for approval, for the hint. */
  onInterrupt: 'leaves it' | 'cancels it'
  /** Ends the look without ending the job. */
  timeoutMs?: number
}

export type Followed =
  { kind: 'ended'; end: EndEvent } | { kind: 'held'; state: StateEvent } | { kind: 'timeout' } | { kind: 'interrupted' }

/** Shows a job live: its output on our own streams, its states on stderr. */
export async function follow(call: Call, jobId: string, options: FollowOptions): Promise<Followed> {
  const { voice, io } = call
  const late = options.timeoutMs === undefined ? undefined : AbortSignal.timeout(options.timeoutMs)
  const signal = late ? AbortSignal.any([call.signal, late]) : call.signal
  let told = ''
  for await (const event of followJob(call.session().client, jobId, signal)) {
    switch (event.event) {
      case 'stdout':
        if (options.showOutput) voice.write(event.chunk)
        break
      case 'stderr':
        if (options.showOutput) io.stderr.write(event.chunk)
        break
      case 'gap':
        voice.warn('… some output is missing here: it was more than is kept')
        break
      case 'progress':
        voice.say(voice.tint('dim', `${event.percent === undefined ? '' : `${event.percent}% `}${event.message ?? ''}`))
        break
      case 'state':
        if (event.state === 'APPROVAL_REQUIRED' && options.stopWhenHeld) return { kind: 'held', state: event }
        if (event.state !== told) tellState(call, jobId, event, options)
        told = event.state
        break
      case 'end':
        return { kind: 'ended', end: event }
    }
  }
  return call.signal.aborted ? { kind: 'interrupted' } : { kind: 'timeout' }
}

function tellState({ voice }: Call, jobId: string, state: StateEvent, { onInterrupt }: FollowOptions): void {
  if (state.state === 'APPROVAL_REQUIRED') {
    tellHeld(voice, jobId, state)
    voice.say(`Waiting for the decision; Ctrl-C ${onInterrupt}.`)
  } else if (state.state !== 'RUNNING') voice.say(voice.tint('dim', `${state.state.toLowerCase()}…`))
}

/** A job that waits: who asks for it, and how to decide. */
export function tellHeld(voice: Call['voice'], jobId: string, { rule, reason }: Partial<StateEvent>): void {
  voice.warn(
    `${voice.tint('yellow', '■')} Held for approval${rule ? ` by rule ${rule}` : ''}${reason ? `: ${reason}` : ''}`,
  )
  voice.warn(`  Decide with: wheelhouse job approve ${jobId}    (or reject)`)
}

/** Tells how a job ended that did not succeed. */
export function tellEnd({ voice }: Call, jobId: string, { state, code, message }: EndEvent): void {
  if (state === 'SUCCEEDED') return
  const what = { DENIED: 'Denied', CANCELLED: 'Cancelled', TIMEOUT: 'Timed out' }[state as string] ?? 'Failed'
  voice.warn(`${voice.tint('red', '✗')} ${what}${message ? `: ${message}` : ''}${code && !message ? ` (${code})` : ''}`)
  if (state === 'DENIED') voice.warn(voice.tint('dim', `  wheelhouse job why ${jobId}`))
}

/** The exit code of a job's end. */
export const endCode = ({ state }: EndEvent): number =>
  state === 'SUCCEEDED' ? EXIT.ok : state === 'DENIED' ? EXIT.denied : state === 'TIMEOUT' ? EXIT.timeout : EXIT.failed
