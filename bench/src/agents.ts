import { setTimeout as pause } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { call } from './call.ts'
import type { Ground } from './ground.ts'
import { cpuMs, residentMib } from './load.ts'
import { type Figure, quantile, ms } from './report.ts'

const BEAT_MS = 30_000
const MEASURE_MS = 30_000
const AT_A_TIME = 100

interface Idle {
  sockets: WebSocket[]
  answers: number[]
}

const envelope = (type: string, payload: unknown): string => JSON.stringify({ protocol_version: '1.0', type, payload })

/** An agent of the base protocol that does nothing but beat: bound by its first heartbeat, answered by a pong. */
function open(ground: Ground, name: string, answers: number[]): Promise<WebSocket> {
  const socket = new WebSocket(`${ground.url.replace('http', 'ws')}/ws/agent`, {
    headers: { authorization: `Bearer ${ground.apiKey}`, 'x-instance-id': name },
  })
  let sentAt = 0
  const beat = (): void => {
    sentAt = performance.now()
    socket.send(envelope('heartbeat', { instance_id: name, timestamp: new Date().toISOString(), uptime_seconds: 1 }))
  }
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.once('open', () => {
      beat()
      const timer = setInterval(beat, BEAT_MS)
      socket.once('close', () => clearInterval(timer))
    })
    socket.on('message', (data) => {
      if (!String(data).includes('pong') || sentAt === 0) return
      answers.push(performance.now() - sentAt)
      sentAt = 0
      resolve(socket)
    })
  })
}

async function connect(ground: Ground, idle: Idle, count: number): Promise<void> {
  while (idle.sockets.length < count) {
    const from = idle.sockets.length
    const size = Math.min(AT_A_TIME, count - from)
    const names = Array.from({ length: size }, (_, i) => `idle-${from + i}`)
    await Promise.all(names.map((name) => register(ground, name)))
    idle.sockets.push(...(await Promise.all(names.map((name) => open(ground, name, idle.answers)))))
  }
}

async function register(ground: Ground, name: string): Promise<void> {
  const body = { instance_id: name, hostname: name, provider: '', region: '', agent_version: 'bench' }
  await call(ground, 'POST', '/api/v1/instances', body)
}

/** What idle agents cost: CPU share of the server, memory, and how long a heartbeat waits for its answer. */
export async function agentFigures(ground: Ground, counts: readonly number[]): Promise<Figure[]> {
  const idle: Idle = { sockets: [], answers: [] }
  const figures: Figure[] = []
  for (const count of counts) {
    await connect(ground, idle, count)
    idle.answers.length = 0
    const before = await cpuMs(ground)
    await pause(MEASURE_MS)
    const share = ((await cpuMs(ground)) - before) / MEASURE_MS
    figures.push({
      section: 'Idle agents',
      name: `${count.toLocaleString('en')} agents, a heartbeat each ${BEAT_MS / 1000} s`,
      ours: `${(share * 100).toFixed(1)} % of a core, ${(await residentMib(ground)).toFixed(0)} MiB, answer p50 ${ms(quantile(idle.answers, 0.5))}, p99 ${ms(quantile(idle.answers, 0.99))}`,
      beside: '',
    })
  }
  for (const socket of idle.sockets) socket.terminate()
  return figures
}
