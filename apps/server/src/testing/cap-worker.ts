import { connect, jwtAuthenticator, type NatsConnection } from '@nats-io/transport-node'
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import {
  BusPacketSchema,
  HeartbeatSchema,
  type JobCancel,
  type JobRequest,
  JobResultSchema,
  JobStatus,
} from '@wheelhouse/contract/proto/cap_pb'
import { createKey } from '../kernel/identity/index.ts'
import type { TestTenant, World } from './world.ts'

export type Outcome = MessageInitShape<typeof JobResultSchema>

export interface CapWorker {
  connection: NatsConnection
  /** The API key that it connected with. */
  token: string
  /** Jobs as they came, by subject. */
  taken: { subject: string; request: JobRequest }[]
  cancels: JobCancel[]
  heartbeat(more?: MessageInitShape<typeof HeartbeatSchema>): void
  send(subject: string, payload: NonNullable<MessageInitShape<typeof BusPacketSchema>['payload']>): void
  close(): Promise<void>
}

/** A plain NATS client with the credential of a key. */
export async function connectAs(world: World, token: string): Promise<NatsConnection> {
  const { kernel } = world
  const { jwt, seed, inboxPrefix } = await kernel.identity.natsCredential(await world.principal(token))
  return connect({
    servers: kernel.natsUrls.client,
    authenticator: jwtAuthenticator(jwt, new TextEncoder().encode(seed)),
    ...(inboxPrefix === undefined ? {} : { inboxPrefix }),
  })
}

/** A CAP worker made of a plain NATS client and protobuf, with the credential of a key with `job.` patterns. */
export async function capWorker(
  world: World,
  tenant: TestTenant,
  options: {
    id: string
    /** Whose key it has; default: the tenant's administrator. */
    ownerId?: string
    topics?: readonly string[]
    pool?: string
    direct?: boolean
    /** What to answer; undefined = nothing. */
    work?: (request: JobRequest, worker: CapWorker) => Promise<Outcome | undefined> | Outcome | undefined
  },
): Promise<CapWorker> {
  const { kernel } = world
  const { token } = await kernel.db.auth((tx) =>
    createKey(tx, kernel.clock.now(), {
      tenantId: tenant.id,
      ownerId: options.ownerId ?? tenant.adminId,
      name: options.id,
      kind: 'worker',
      admin: true,
      account: 'tenant',
      pub: { allow: ['sys.job.result', 'sys.job.progress', 'sys.heartbeat', 'sys.job.submit', 'sys.job.cancel'] },
      sub: { allow: ['job.>', 'worker.>', 'sys.job.cancel'] },
    }),
  )
  const connection = await connectAs(world, token)
  const worker: CapWorker = {
    connection,
    token,
    taken: [],
    cancels: [],
    heartbeat(more = {}) {
      const heartbeat = create(HeartbeatSchema, {
        workerId: options.id,
        pool: options.pool ?? 'default',
        maxParallelJobs: 100,
        ...more,
      })
      this.send('sys.heartbeat', { case: 'heartbeat', value: heartbeat })
    },
    send(subject, payload) {
      const packet = create(BusPacketSchema, { traceId: 't', senderId: options.id, protocolVersion: 1, payload })
      connection.publish(subject, toBinary(BusPacketSchema, packet))
    },
    close: () => connection.drain(),
  }
  async function take(subject: string, data: Uint8Array): Promise<void> {
    const { payload } = fromBinary(BusPacketSchema, data)
    if (payload.case === 'jobCancel') worker.cancels.push(payload.value)
    if (payload.case !== 'jobRequest') return
    worker.taken.push({ subject, request: payload.value })
    const outcome = await options.work?.(payload.value, worker)
    if (!outcome) return
    worker.send('sys.job.result', {
      case: 'jobResult',
      value: create(JobResultSchema, {
        jobId: payload.value.jobId,
        workerId: options.id,
        status: JobStatus.SUCCEEDED,
        ...outcome,
      }),
    })
  }
  const listen = (subject: string, queue?: string): void => {
    connection.subscribe(subject, {
      ...(queue === undefined ? {} : { queue }),
      callback: (error, message) => {
        if (!error) void take(message.subject, message.data)
      },
    })
  }
  for (const topic of options.topics ?? []) listen(topic, topic)
  if (options.direct !== false) listen(`worker.${options.id}.jobs`)
  listen('sys.job.cancel')
  await connection.flush()
  return worker
}
