import type { EndEvent, OutputEvent, ProgressEvent, StateEvent } from '@wheelhouse/contract/native/job-output'
import { useEffect, useState } from 'react'
import { queryClient } from './client.ts'
import { keys } from './keys.ts'

export interface OutputChunk extends OutputEvent {
  stream: 'stdout' | 'stderr'
}

export interface JobOutput {
  chunks: readonly OutputChunk[]
  states: readonly StateEvent[]
  progress: ProgressEvent | undefined
  /** Some of the output is gone, because it was more than is kept. */
  gap: boolean
  end: EndEvent | undefined
  /** opening until the first word, closed after the last or when it cannot be opened. */
  state: 'opening' | 'open' | 'closed'
}

const NOTHING: JobOutput = { chunks: [], states: [], progress: undefined, gap: false, end: undefined, state: 'opening' }
const MOST_CHUNKS = 20_000
const FLUSH_MS = 80

/** What a job writes and how it fares, from its beginning to its end. A broken stream goes on where it was cut. */
export function useJobOutput(id: string | undefined): JobOutput {
  const [output, setOutput] = useState(NOTHING)
  useEffect(() => {
    setOutput(NOTHING)
    if (!id) return
    const source = new EventSource(`/wheelhouse/api/v1/jobs/${encodeURIComponent(id)}/output`)
    let waiting: ((now: JobOutput) => JobOutput)[] = []
    let timer: ReturnType<typeof setTimeout> | undefined
    // Many small writes are one render.
    const change = (step: (now: JobOutput) => JobOutput) => {
      waiting.push(step)
      timer ??= setTimeout(() => {
        timer = undefined
        const steps = waiting
        waiting = []
        setOutput((now) => steps.reduce((value, apply) => apply(value), now))
      }, FLUSH_MS)
    }
    const on = <T>(name: string, take: (event: T) => void) =>
      source.addEventListener(name, (event) => take(JSON.parse((event as MessageEvent<string>).data) as T))
    const write = (stream: OutputChunk['stream']) => (event: OutputEvent) =>
      change((now) => ({ ...now, chunks: [...now.chunks, { ...event, stream }].slice(-MOST_CHUNKS) }))
    on<OutputEvent>('stdout', write('stdout'))
    on<OutputEvent>('stderr', write('stderr'))
    on<ProgressEvent>('progress', (progress) => change((now) => ({ ...now, progress })))
    on('gap', () => change((now) => ({ ...now, gap: true })))
    on<StateEvent>('state', (state) => {
      change((now) => ({ ...now, states: [...now.states, state] }))
      void queryClient.invalidateQueries({ queryKey: keys.job(id) })
    })
    on<EndEvent>('end', (end) => {
      // An ended stream would be opened again by the browser.
      source.close()
      change((now) => ({ ...now, end, state: 'closed' }))
      void queryClient.invalidateQueries({ queryKey: keys.job(id) })
    })
    source.addEventListener('open', () => change((now) => ({ ...now, state: 'open' })))
    source.addEventListener('error', () => {
      if (source.readyState === EventSource.CLOSED) change((now) => ({ ...now, state: 'closed' }))
    })
    return () => {
      clearTimeout(timer)
      source.close()
    }
  }, [id])
  return output
}
