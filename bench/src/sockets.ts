import { setTimeout as pause } from 'node:timers/promises'
import type { WebSocket } from 'ws'
import type { Ground } from './ground.ts'
import { perThing, used } from './load.ts'
import { type Frame, openStream, startWorker, submitLife } from './job-life.ts'
import { type Figure, ms, quantile } from './report.ts'

const SOCKETS = 2_000
const JOBS = 20
/** Between two submissions. */
const EVERY_MS = 250
const LOOK_MS = 50
const WITHIN_MS = 20_000

/** Live sockets of one tenant, each of which hears of every job: what a frame costs, and when the last of them has it. */
export async function socketFigures(ground: Ground): Promise<Figure[]> {
  const worker = await startWorker(ground)
  const left = new Map<string, { missing: number; sentAt: number }>()
  const early = new Map<string, number>()
  const waits: number[] = []
  let frames = 0
  const heard = ({ jobResult }: Frame): void => {
    frames += 1
    if (!jobResult) return
    const job = left.get(jobResult.jobId)
    if (!job) early.set(jobResult.jobId, (early.get(jobResult.jobId) ?? 0) + 1)
    else if ((job.missing -= 1) === 0) waits.push(performance.now() - job.sentAt)
  }
  const sockets: WebSocket[] = []
  try {
    while (sockets.length < SOCKETS) {
      const opened = await Promise.all(Array.from({ length: 100 }, () => openStream(ground, heard)))
      sockets.push(...opened)
    }
    const before = await used(ground)
    for (let n = 0; n < JOBS; n += 1) {
      const sentAt = performance.now()
      const id = await submitLife(ground)(n)
      const missing = SOCKETS - (early.get(id) ?? 0)
      if (missing === 0) waits.push(performance.now() - sentAt)
      else left.set(id, { missing, sentAt })
      await pause(EVERY_MS)
    }
    const deadline = performance.now() + WITHIN_MS
    while (waits.length < JOBS && performance.now() < deadline) await pause(LOOK_MS)
    if (waits.length < JOBS) throw new Error(`${JOBS - waits.length} jobs did not reach every socket`)
    const cpu = perThing(before, await used(ground), frames)
    return [
      {
        section: 'Live sockets',
        name: `${SOCKETS.toLocaleString('en')} sockets hear of a job's end, submit to the last of them`,
        ours: `p50 ${ms(quantile(waits, 0.5))}, p99 ${ms(quantile(waits, 0.99))}; ${cpu.server.toFixed(1)} µs CPU a frame`,
        beside: '',
      },
    ]
  } finally {
    for (const socket of sockets) socket.terminate()
    worker.disconnect()
  }
}
