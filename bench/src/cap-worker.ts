import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { connect, jwtAuthenticator } from '@nats-io/transport-node'
import { BusPacketSchema, HeartbeatSchema, JobResultSchema, JobStatus } from '@wheelhouse/contract/proto/cap_pb'

/** A CAP worker as anyone would write it: takes a job, succeeds at once. */
const {
  CAP_NATS_URL = '',
  CAP_NATS_JWT = '',
  CAP_NATS_SEED = '',
  CAP_TOPIC = '',
  CAP_WORKER_ID: WORKER_ID = '',
  // Absent: it takes what its topic brings, however much.
  CAP_SLOTS,
} = process.env
const nats = await connect({
  servers: CAP_NATS_URL,
  authenticator: jwtAuthenticator(CAP_NATS_JWT, new TextEncoder().encode(CAP_NATS_SEED)),
})

let taken = 0

function take(data: Uint8Array): void {
  const packet = fromBinary(BusPacketSchema, data)
  if (packet.payload.case !== 'jobRequest') return
  const { jobId, attempt } = packet.payload.value
  taken += 1
  const result = create(JobResultSchema, {
    jobId,
    attempt,
    status: JobStatus.SUCCEEDED,
    workerId: WORKER_ID,
    resultPtr: `redis://res:${jobId}`,
    executionMs: 0n,
  })
  nats.publish(
    'sys.job.result',
    toBinary(
      BusPacketSchema,
      create(BusPacketSchema, {
        traceId: packet.traceId,
        senderId: WORKER_ID,
        protocolVersion: 1,
        payload: { case: 'jobResult', value: result },
      }),
    ),
  )
}

function beat(): void {
  const heartbeat = create(HeartbeatSchema, {
    workerId: WORKER_ID,
    pool: WORKER_ID,
    type: 'bench',
    maxParallelJobs: Number(CAP_SLOTS ?? 100_000),
    capabilities: CAP_SLOTS === undefined ? [] : [CAP_TOPIC],
    labels: {},
  })
  nats.publish(
    'sys.heartbeat',
    toBinary(
      BusPacketSchema,
      create(BusPacketSchema, {
        senderId: WORKER_ID,
        protocolVersion: 1,
        payload: { case: 'heartbeat', value: heartbeat },
      }),
    ),
  )
}

for (const subject of [CAP_TOPIC, `worker.${WORKER_ID}.jobs`]) {
  nats.subscribe(subject, { queue: subject, callback: (_error, message) => take(message.data) })
}
beat()
const beating = setInterval(beat, 2000)
await nats.flush()
process.send?.({ ready: true })
process.on('message', () => process.send?.({ taken }))
process.once('disconnect', () => {
  clearInterval(beating)
  void nats.close().then(() => process.exit(0))
})
