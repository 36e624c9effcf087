import { AckPolicy, DiscardPolicy, jetstream, jetstreamManager, RetentionPolicy, StorageType } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import type { Instant } from '../clock/index.ts'

/** Catches workers' results also while no replica runs (decisions D2). Not a record: an hour, 1 GiB, oldest dropped. */
export const RESULTS_STREAM = 'WH_RESULTS'
const CONSUMER = 'wh_drain'
const SECOND_NS = 1_000_000_000

export interface CapturedResult {
  /** Public key of the worker's account. */
  account: string
  data: Uint8Array
  /** When the server took it. */
  at: Instant
}

/** Creates the stream and its consumer, or brings them to this version. */
export async function ensureResults(connection: NatsConnection): Promise<void> {
  const manager = await jetstreamManager(connection, { timeout: 5_000 })
  const stream = {
    name: RESULTS_STREAM,
    subjects: ['in.*.sys.job.result'],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.Old,
    // The answer to a publish is ours to give, after the commit.
    no_ack: true,
    max_age: 3600 * SECOND_NS,
    max_bytes: 1024 ** 3,
    num_replicas: 1,
  }
  const known = await manager.streams.info(RESULTS_STREAM).catch(() => undefined)
  await (known ? manager.streams.update(RESULTS_STREAM, stream) : manager.streams.add(stream))
  await manager.consumers.add(RESULTS_STREAM, {
    durable_name: CONSUMER,
    ack_policy: AckPolicy.Explicit,
    ack_wait: 30 * SECOND_NS,
    max_ack_pending: 10_000,
  })
}

/**
 * Hands the results captured since the last drain to the handler, in batches of at most `batch`, and forgets each batch when the
 * handler is done; what it throws on comes again in 30 s. Live results are captured too, so the handler sees most of them a
 * second time and must not mind. Returns how many were handed over.
 */
export async function drainResults(
  connection: NatsConnection,
  handler: (results: CapturedResult[]) => Promise<void>,
  batch = 500,
): Promise<number> {
  const consumer = await jetstream(connection, { timeout: 5_000 }).consumers.get(RESULTS_STREAM, CONSUMER)
  let drained = 0
  for (;;) {
    const { num_pending: pending } = await consumer.info()
    if (pending === 0) return drained
    const messages = await consumer.fetch({ max_messages: Math.min(batch, pending), expires: 1_000 })
    const taken = []
    for await (const message of messages) taken.push(message)
    if (taken.length === 0) return drained
    await handler(
      taken.map((message) => ({
        account: message.subject.split('.')[1] ?? '',
        data: message.data,
        at: Math.floor(Number(message.timestampNanos) / 1e6),
      })),
    )
    for (const message of taken) message.ack()
    await connection.flush()
    drained += taken.length
  }
}
