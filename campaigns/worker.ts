// `node campaigns/worker.ts`: a worker as anyone could write it, with a plain NATS client and the CAP messages alone.
// WORKER_URL, WORKER_NATS, WORKER_KEY, WORKER_EFFECTS (file) and WORKER_ID say where and who. WORKER_PLAIN=1: it publishes each result once and
// does not ask whether it arrived. WORKER_BUSY=1: hundreds of jobs a second; effects are written, not synced, and more run at once.
import { fsyncSync, openSync, writeSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { create, fromBinary, toBinary, type MessageInitShape } from '@bufbuild/protobuf'
import { connect, jwtAuthenticator, type NatsConnection } from '@nats-io/transport-node'
import {
  BusPacketSchema,
  HeartbeatSchema,
  JobProgressSchema,
  type JobRequest,
  JobResultSchema,
  JobStatus,
} from '../packages/contract/src/proto/cap_pb.ts'
import { Api } from './api.ts'

const HEARTBEAT_MS = 2_000
/** What comes on the last one is taken and never answered: its time must end it. */
const TOPICS = ['job.campaign.work', 'job.campaign.ask', 'job.campaign.void']
const need = (name: string): string => {
  const value = process.env[name]
  if (value === undefined) throw new Error(`${name} is not set`)
  return value
}

const id = need('WORKER_ID')
const busy = process.env['WORKER_BUSY'] === '1'
const out = openSync(need('WORKER_EFFECTS'), 'a')
let active = 0
/** Claims that were taken, with the result once there is one: a message that comes twice is not performed twice. */
const known = new Map<string, Uint8Array | undefined>()

function packet(payload: NonNullable<MessageInitShape<typeof BusPacketSchema>['payload']>): Uint8Array {
  return toBinary(
    BusPacketSchema,
    create(BusPacketSchema, { traceId: 'campaign', senderId: id, protocolVersion: 1, payload }),
  )
}

/** The effect: one line, on disk before the result is told. */
function perform({ jobId, attempt }: JobRequest): void {
  writeSync(out, `${JSON.stringify({ jobId, attempt, at: Date.now() })}\n`)
  if (!busy) fsyncSync(out)
}

async function take(connection: NatsConnection, request: JobRequest): Promise<void> {
  const { jobId, attempt } = request
  if (request.topic === 'job.campaign.void') return
  const claim = `${jobId} ${attempt}`
  if (known.has(claim)) {
    const before = known.get(claim)
    if (before) await deliver(connection, before)
    return
  }
  known.set(claim, undefined)
  active += 1
  try {
    connection.publish(
      'sys.job.progress',
      packet({ case: 'jobProgress', value: create(JobProgressSchema, { jobId, attempt, percent: 10 }) }),
    )
    await pause(Math.random() * 60)
    perform(request)
    await pause(Math.random() * 60)
    const result = packet({
      case: 'jobResult',
      value: create(JobResultSchema, {
        jobId,
        attempt,
        workerId: id,
        status: JobStatus.SUCCEEDED,
        resultPtr: `redis://res:${jobId}`,
      }),
    })
    known.set(claim, result)
    await deliver(connection, result)
  } finally {
    active -= 1
  }
}

/** Until the platform says that it has the result: a publish alone may be lost with the bus. */
async function deliver(connection: NatsConnection, result: Uint8Array): Promise<void> {
  if (process.env['WORKER_PLAIN'] === '1') return connection.publish('sys.job.result', result)
  for (let tries = 0; tries < 600; tries++) {
    try {
      await connection.request('sys.job.result', result, { timeout: 2_000 })
      return
    } catch {
      await pause(200)
    }
  }
}

const api = new Api(need('WORKER_URL'), need('WORKER_KEY'))
const { body } = await api.call('GET', '/api/v1/apikey')
const { jwt, seed, inboxPrefix } = body as { jwt: string; seed: string; inboxPrefix?: string }
const connection = await connect({
  servers: need('WORKER_NATS'),
  name: id,
  authenticator: jwtAuthenticator(jwt, new TextEncoder().encode(seed)),
  maxReconnectAttempts: -1,
  reconnectTimeWait: 200,
  ignoreAuthErrorAbort: true,
  ...(inboxPrefix === undefined ? {} : { inboxPrefix }),
})
for (const subject of [...TOPICS, `worker.${id}.jobs`]) {
  connection.subscribe(subject, {
    queue: 'campaign',
    callback(error, message) {
      if (error) return
      const { payload } = fromBinary(BusPacketSchema, message.data)
      if (payload.case === 'jobRequest') void take(connection, payload.value)
    },
  })
}
function beat(): void {
  const heartbeat = create(HeartbeatSchema, {
    workerId: id,
    pool: 'campaign',
    capabilities: TOPICS,
    maxParallelJobs: busy ? 400 : 32,
    activeJobs: active,
  })
  connection.publish('sys.heartbeat', packet({ case: 'heartbeat', value: heartbeat }))
}
beat()
setInterval(beat, HEARTBEAT_MS)
process.stdout.write('ready\n')
process.on('SIGTERM', () => process.exit(0))
