import { useEffect, useSyncExternalStore } from 'react'
import { queryClient } from './client.ts'
import type { InstanceList } from './fleet.ts'
import { keys } from './keys.ts'
import type { FleetStats, Heartbeat, Instance, StreamFrame } from './wire.ts'

// Two sockets keep every page current: the fleet's (stats, states, heartbeats) and the jobs' (requests, progress, results).
// What they bring is collected for a second and written into the cache at once, so that a thousand heartbeats are one render.

type Channel = 'fleet' | 'jobs'
const PATHS: Record<Channel, string> = { fleet: '/ws', jobs: '/api/v1/stream' }
const FLUSH_MS = 1000
const LONGEST_WAIT_MS = 15_000

export interface LiveSnapshot {
  open: Readonly<Record<Channel, boolean>>
  /** The last frame of either socket, in milliseconds. */
  heardAt: number | undefined
  /** When the next try is made, while a socket is down. */
  retryAt: number | undefined
}

let snapshot: LiveSnapshot = { open: { fleet: false, jobs: false }, heardAt: undefined, retryAt: undefined }
const listeners = new Set<() => void>()

function update(changes: Partial<LiveSnapshot>) {
  snapshot = { ...snapshot, ...changes }
  for (const listener of listeners) listener()
}

/** How the page hears of changes now. */
export function useLive(): LiveSnapshot {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => snapshot,
  )
}

/** The job a frame speaks of. */
function jobOf(frame: StreamFrame): string | undefined {
  return frame.jobRequest?.jobId ?? frame.jobResult?.jobId ?? frame.jobProgress?.jobId ?? frame.jobCancel?.jobId
}

/** The run whose step a job is: its id says so, `<run>:<step>@<attempt>`. */
function runOf(jobId: string): string | undefined {
  return /^(.+?):.+@\d+$/.exec(jobId)?.[1]
}

/** The address of a socket of this page's own server. */
export function socketUrl(path: string): string {
  return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}${path}`
}

/** The wait before try `failures`, in milliseconds: 1 s growing to 15 s. */
export function retryDelay(failures: number): number {
  return Math.min(LONGEST_WAIT_MS, 1000 * 1.6 ** failures)
}

interface Pending {
  heartbeats: Map<string, Heartbeat>
  states: Map<string, Pick<Instance, 'status' | 'updatedAt'>>
  stats?: FleetStats
  jobs: Set<string>
}

const nothing = (): Pending => ({ heartbeats: new Map(), states: new Map(), jobs: new Set() })

function merge(instance: Instance, pending: Pending): Instance {
  const lastHeartbeat = pending.heartbeats.get(instance.id)
  const state = pending.states.get(instance.id)
  return lastHeartbeat || state ? { ...instance, ...state, ...(lastHeartbeat ? { lastHeartbeat } : {}) } : instance
}

function flush(pending: Pending) {
  if (pending.stats) queryClient.setQueryData(keys.fleetStats, pending.stats)
  if (pending.heartbeats.size + pending.states.size > 0) {
    queryClient.setQueryData<InstanceList>(
      keys.instances,
      (known) => known && { ...known, instances: known.instances.map((instance) => merge(instance, pending)) },
    )
    for (const id of new Set([...pending.heartbeats.keys(), ...pending.states.keys()])) {
      queryClient.setQueryData<Instance>(keys.instance(id), (known) => known && merge(known, pending))
    }
    for (const id of pending.states.keys()) void queryClient.invalidateQueries({ queryKey: keys.lifecycle(id) })
  }
  if (pending.jobs.size > 0) {
    void queryClient.invalidateQueries({ queryKey: [...keys.jobs, 'list'] })
    void queryClient.invalidateQueries({ queryKey: [...keys.jobs, 'trace'] })
    void queryClient.invalidateQueries({ queryKey: keys.inbox })
    for (const id of pending.jobs) {
      void queryClient.invalidateQueries({ queryKey: keys.job(id) })
      void queryClient.invalidateQueries({ queryKey: keys.decisions(id) })
      const run = runOf(id)
      if (run) void queryClient.invalidateQueries({ queryKey: keys.run(run) })
    }
  }
}

function take(channel: Channel, text: string, pending: Pending) {
  const frame: unknown = JSON.parse(text)
  if (typeof frame !== 'object' || frame === null) return
  if (channel === 'jobs') {
    const job = frame as StreamFrame
    const id = jobOf(job)
    if (id && !job.jobProgress) pending.jobs.add(id)
    return
  }
  const { type, payload } = frame as { type?: string; payload?: Record<string, unknown> }
  if (!payload) return
  if (type === 'fleet_stats') pending.stats = payload as unknown as FleetStats
  if (type === 'heartbeat') pending.heartbeats.set(String(payload['instanceId']), payload as unknown as Heartbeat)
  if (type === 'instance_update') {
    pending.states.set(String(payload['instanceId']), payload as unknown as Pick<Instance, 'status' | 'updatedAt'>)
  }
}

function connect(channel: Channel): () => void {
  let socket: WebSocket | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let failures = 0
  let wasOpen = false
  let over = false
  let pending = nothing()
  let flushing: ReturnType<typeof setTimeout> | undefined
  const setOpen = (open: boolean) => update({ open: { ...snapshot.open, [channel]: open } })

  const open = () => {
    socket = new WebSocket(socketUrl(PATHS[channel]))
    socket.addEventListener('open', () => {
      failures = 0
      setOpen(true)
      update({ heardAt: Date.now(), retryAt: undefined })
      // What happened while it was down was not heard.
      if (wasOpen) void queryClient.invalidateQueries()
      wasOpen = true
    })
    socket.addEventListener('message', ({ data }) => {
      if (typeof data !== 'string') return
      take(channel, data, pending)
      flushing ??= setTimeout(() => {
        flushing = undefined
        update({ heardAt: Date.now() })
        const collected = pending
        pending = nothing()
        flush(collected)
      }, FLUSH_MS)
    })
    socket.addEventListener('close', () => {
      setOpen(false)
      if (over) return
      const wait = retryDelay(failures)
      failures += 1
      update({ retryAt: Date.now() + wait })
      timer = setTimeout(open, wait)
    })
  }
  open()
  return () => {
    over = true
    clearTimeout(timer)
    clearTimeout(flushing)
    socket?.close()
  }
}

/** Holds the sockets open while somebody is signed in. */
export function useLiveSockets(): void {
  useEffect(() => {
    const close = [connect('fleet'), connect('jobs')]
    return () => {
      for (const each of close) each()
    }
  }, [])
}
