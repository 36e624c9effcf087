import { Fault } from '@wheelhouse/contract'
import type { BusPacket } from '@wheelhouse/contract/proto/cap_pb'
import type { Logger } from 'pino'
import { type Bus, decodePacket, encodePacket, newPacket, type PacketPayload, streamFrame } from '../bus/index.ts'
import type { Instant } from '../clock/index.ts'
import type { Feed } from '../events/index.ts'
import type { JobSignal } from './jobs.ts'

/** A packet for the stream's sockets. */
export interface Frame {
  /** The job that it is about, if any. */
  jobId: string
  /** It is the last of that job. */
  ends: boolean
  /** What the sockets get; made once, for however many there are. */
  text(): string
}

function frameOf(packet: BusPacket): Frame {
  const { payload } = packet
  let text: string | undefined
  return {
    jobId: payload.value !== undefined && 'jobId' in payload.value ? payload.value.jobId : '',
    ends: payload.case === 'jobResult',
    text: () => (text ??= JSON.stringify(streamFrame(packet))),
  }
}

/** What happens to jobs, as it happens, on every replica. Nothing of it is kept: the record is in the database. */
export interface Signals {
  emit(tenantId: string, jobId: string, signal: JobSignal): void
  watch(tenantId: string, jobId: string, listener: (signal: JobSignal) => void): () => void
  /** Shows a packet to the sockets that watch the tenant (jobs.md 19). */
  show(
    tenantId: string,
    packet: { traceId: string; senderId: string; at: Instant; payload: PacketPayload | (() => PacketPayload) },
  ): void
  /** The same of a packet that is there already, with its bytes. */
  showPacket(tenantId: string, packet: BusPacket, bytes: Uint8Array): void
  frames(tenantId: string, listener: (frame: Frame) => void): () => void
  close(): void
}

const TOPIC = 'job.signal'

interface Room<T> {
  listeners: Set<T>
  leave(): void
}

export function openSignals({ bus, feed, log }: { bus: Bus; feed: Feed; log: Logger }): Signals {
  const rooms = new Map<string, { jobs: Map<string, Set<(signal: JobSignal) => void>>; leave(): void }>()
  const stages = new Map<string, Room<(frame: Frame) => void>>()

  function roomOf(tenantId: string) {
    const known = rooms.get(tenantId)
    if (known) return known
    const jobs = new Map<string, Set<(signal: JobSignal) => void>>()
    const leave = feed.subscribeLive(tenantId, [TOPIC], ({ data }) => {
      const { jobId, signal } = data as { jobId: string; signal: JobSignal }
      for (const listener of jobs.get(jobId) ?? []) listener(signal)
    })
    const room = { jobs, leave }
    rooms.set(tenantId, room)
    return room
  }

  const stageOf = (tenantId: string): string => `wh.frame.${tenantId}`

  function showHere(tenantId: string, packet: BusPacket): void {
    const stage = stages.get(tenantId)
    if (!stage) return
    const frame = frameOf(packet)
    for (const listener of stage.listeners) {
      try {
        listener(frame)
      } catch (error) {
        log.error({ err: error, tenantId }, 'Showing a packet failed')
      }
    }
  }

  return {
    emit: (tenantId, jobId, signal) => feed.publishLive(tenantId, TOPIC, { jobId, signal }),
    watch(tenantId, jobId, listener) {
      const room = roomOf(tenantId)
      const mine = room.jobs.get(jobId)
      if (mine) mine.add(listener)
      else room.jobs.set(jobId, new Set([listener]))
      return () => {
        const listeners = room.jobs.get(jobId)
        listeners?.delete(listener)
        if (listeners?.size === 0) room.jobs.delete(jobId)
        if (room.jobs.size > 0 || rooms.get(tenantId) !== room) return
        rooms.delete(tenantId)
        room.leave()
      }
    },
    show(tenantId, { traceId, senderId, at, payload }) {
      let packet: BusPacket | undefined
      const made = (): BusPacket =>
        (packet ??= newPacket(traceId, senderId, at, typeof payload === 'function' ? payload() : payload))
      try {
        if (stages.has(tenantId)) showHere(tenantId, made())
        bus.publishLive(stageOf(tenantId), () => encodePacket(made()))
      } catch (error) {
        // A packet that is too large for the bus is not shown to the other replicas; the record has it all.
        log.debug({ err: error }, 'A packet could not be shown')
      }
    },
    showPacket(tenantId, packet, bytes) {
      showHere(tenantId, packet)
      bus.publishLive(stageOf(tenantId), () => bytes)
    },
    frames(tenantId, listener) {
      let stage = stages.get(tenantId)
      if (!stage) {
        const listening = bus.onLive(stageOf(tenantId), ({ data }) => {
          const decoded = decodePacket(data)
          if (decoded.ok) showHere(tenantId, decoded.packet)
        })
        stages.set(tenantId, (stage = { listeners: new Set(), leave: () => listening.close() }))
      }
      const mine = stage
      mine.listeners.add(listener)
      return () => {
        mine.listeners.delete(listener)
        if (mine.listeners.size > 0 || stages.get(tenantId) !== mine) return
        stages.delete(tenantId)
        mine.leave()
      }
    },
    close() {
      for (const { leave } of rooms.values()) leave()
      for (const { leave } of stages.values()) leave()
      rooms.clear()
      stages.clear()
    },
  }
}

/** Why a run's signal aborts when its time is over. */
export const timedOut = (): Fault => new Fault('JOB_TIMED_OUT')
