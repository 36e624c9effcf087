import { useEffect, useRef, useState } from 'react'
import { socketUrl } from './live.ts'
import type { Log } from './wire.ts'

/** One live reading of an instance: fleet.md §3.6, `metrics:snapshot`. */
export interface MetricSnapshot {
  ts: number
  cpu_percent: number
  memory_used: number
  memory_total: number
  disk_used: number
  disk_total: number
  network_bytes_in: number
  network_bytes_out: number
}

const MOST_SNAPSHOTS = 720
const RETRY_MS = 3000

/** Readings as they arrive, since the page was opened. */
export function useMetricStream(id: string): readonly MetricSnapshot[] {
  const [readings, setReadings] = useState<readonly MetricSnapshot[]>([])
  useEffect(() => {
    let socket: WebSocket | undefined
    let timer: ReturnType<typeof setTimeout> | undefined
    let over = false
    setReadings([])
    const open = () => {
      socket = new WebSocket(socketUrl(`/ws/metrics/stream?instanceId=${encodeURIComponent(id)}`))
      socket.addEventListener('message', ({ data }) => {
        if (typeof data !== 'string') return
        const frame = JSON.parse(data) as MetricSnapshot & { type?: string }
        if (frame.type !== 'metrics:snapshot') return
        setReadings((now) => [...now, frame].slice(-MOST_SNAPSHOTS))
      })
      socket.addEventListener('close', () => {
        if (!over) timer = setTimeout(open, RETRY_MS)
      })
    }
    open()
    return () => {
      over = true
      clearTimeout(timer)
      socket?.close()
    }
  }, [id])
  return readings
}

const MOST_LINES = 50_000
const FLUSH_MS = 250

export interface LogTail {
  lines: readonly Log[]
  /** Lines that have come while paused. */
  waiting: number
  open: boolean
}

/** Lines as they are written, from now on. Paused, they are kept and counted, and shown on resuming. */
export function useLogTail(id: string, paused: boolean): LogTail {
  const [tail, setTail] = useState<LogTail>({ lines: [], waiting: 0, open: false })
  const held = useRef<Log[]>([])
  const pause = useRef(paused)
  useEffect(() => {
    pause.current = paused
    if (paused) return
    const waiting = held.current
    held.current = []
    setTail((now) => ({ ...now, waiting: 0, lines: [...now.lines, ...waiting].slice(-MOST_LINES) }))
  }, [paused])

  useEffect(() => {
    held.current = []
    setTail({ lines: [], waiting: 0, open: false })
    const source = new EventSource(`/api/v1/instances/${encodeURIComponent(id)}/logs/stream`)
    let timer: ReturnType<typeof setTimeout> | undefined
    const flush = () => {
      timer = undefined
      const count = held.current.length
      if (pause.current) {
        setTail((now) => ({ ...now, waiting: count }))
        return
      }
      const fresh = held.current
      held.current = []
      setTail((now) => ({ ...now, lines: [...now.lines, ...fresh].slice(-MOST_LINES) }))
    }
    source.addEventListener('open', () => setTail((now) => ({ ...now, open: true })))
    source.addEventListener('error', () => setTail((now) => ({ ...now, open: false })))
    source.addEventListener('message', ({ data }) => {
      const line = JSON.parse(String(data)) as Partial<Log>
      if (!line.id || line.message === undefined) return
      held.current = [...held.current, line as Log].slice(-MOST_LINES)
      timer ??= setTimeout(flush, FLUSH_MS)
    })
    return () => {
      clearTimeout(timer)
      source.close()
    }
  }, [id])
  return tail
}
