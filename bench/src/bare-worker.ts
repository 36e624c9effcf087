import { connect, jwtAuthenticator } from '@nats-io/transport-node'

/** The worker of the bare loop: takes a job, answers at once. */
const { BARE_NATS_URL = '', BARE_NATS_JWT = '', BARE_NATS_SEED = '' } = process.env
const nats = await connect({
  servers: BARE_NATS_URL,
  authenticator: jwtAuthenticator(BARE_NATS_JWT, new TextEncoder().encode(BARE_NATS_SEED)),
})
nats.subscribe('bench.job', {
  queue: 'workers',
  callback(_error, message) {
    nats.publish('bench.result', message.data)
  },
})
await nats.flush()
process.send?.({ ready: true })
process.once('disconnect', () => process.exit(0))
