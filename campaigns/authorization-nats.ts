import { connect, jwtAuthenticator, type NatsConnection, type Subscription } from '@nats-io/transport-node'
import { createKey, revokeKey } from '../apps/server/src/kernel/identity/index.ts'
import type { TestTenant, World } from '../apps/server/src/testing/world.ts'
import type { Cell } from './authorization-model.ts'
import { subjectFits } from './authorization-model.ts'

interface Held {
  name: string
  pub: readonly string[]
  sub: readonly string[]
}

/** Keys in the tenant's account, each held to what it asked for. */
const KEYS: readonly Held[] = [
  {
    name: 'worker',
    pub: ['sys.job.result', 'sys.job.progress', 'sys.heartbeat'],
    sub: ['job.one.>', 'worker.w1.jobs'],
  },
  { name: 'listener', pub: ['sys.heartbeat'], sub: ['job.*.fast', 'sys.job.cancel'] },
  { name: 'submitter', pub: ['sys.job.submit', 'sys.job.cancel'], sub: ['sys.job.result'] },
  { name: 'mute', pub: ['job.nowhere'], sub: ['job.two'] },
]

const SUBJECTS = [
  'sys.job.result',
  'sys.job.progress',
  'sys.job.submit',
  'sys.job.cancel',
  'sys.heartbeat',
  'sys.workflow.event',
  'job.one',
  'job.one.fast',
  'job.two',
  'job.two.fast',
  'job.nowhere',
  'worker.w1.jobs',
  'worker.w2.jobs',
  'wh.stop',
  '$JS.API.STREAM.NAMES',
  '$JS.API.STREAM.DELETE.results',
  '$SYS.REQ.SERVER.PING',
  '$SYS.ACCOUNT.X.CONNECT',
]
const WIDE = ['>', 'job.>', 'sys.>', 'worker.*.jobs', '$SYS.>']

interface Credential {
  jwt: string
  seed: string
  inboxPrefix?: string | undefined
}

async function credentialOf(world: World, tenant: TestTenant, held: Held) {
  const { kernel } = world
  const made = await kernel.db.auth((tx) =>
    createKey(tx, kernel.clock.now(), {
      tenantId: tenant.id,
      ownerId: tenant.adminId,
      name: held.name,
      kind: 'worker',
      admin: true,
      account: 'tenant',
      pub: { allow: [...held.pub] },
      sub: { allow: [...held.sub] },
    }),
  )
  return { ...made, credential: await kernel.identity.natsCredential(await world.principal(made.token)) }
}

const open = (world: World, { jwt, seed, inboxPrefix }: Credential): Promise<NatsConnection> =>
  connect({
    servers: world.kernel.natsUrls.client,
    authenticator: jwtAuthenticator(jwt, new TextEncoder().encode(seed)),
    reconnect: false,
    timeout: 5_000,
    ...(inboxPrefix === undefined ? {} : { inboxPrefix }),
  })

/** What the server refuses on this connection, as `publish subject` or `subscription subject`. */
function refusals(connection: NatsConnection): Set<string> {
  const found = new Set<string>()
  void (async () => {
    for await (const event of connection.status()) {
      if (event.type !== 'error') continue
      const { operation, subject } = event.error as Error & { operation?: string; subject?: string }
      if (operation !== undefined && subject !== undefined) found.add(`${operation} ${subject}`)
    }
  })()
  return found
}

/** Publishing and subscribing beyond what a key was given, other tenants' messages, and credentials that have ended. */
export async function busCells(world: World): Promise<{ cells: Cell[]; last: Cell[]; close(): Promise<void> }> {
  const cells: Cell[] = []
  const opened: NatsConnection[] = []
  for (const held of KEYS) {
    const connection = await open(world, (await credentialOf(world, world.a, held)).credential)
    opened.push(connection)
    const refused = refusals(connection)
    for (const subject of SUBJECTS) {
      // Work goes to workers through policy alone (decisions D2): no key publishes there, whatever it asked for.
      const mayPublish = held.pub.some((pattern) => subjectFits(pattern, subject)) && !/^(job|worker)\./.test(subject)
      cells.push({
        kind: 'NATS, publish',
        async ask() {
          connection.publish(subject, new Uint8Array())
          await settled(connection)
          const was = refused.has(`publish ${subject}`)
          return was === !mayPublish ? [] : [`${held.name} publishes on ${subject}: ${was ? 'refused' : 'allowed'}`]
        },
      })
    }
    for (const subject of [...SUBJECTS, ...WIDE]) {
      const maySubscribe = held.sub.some((pattern) => subjectFits(pattern, subject))
      cells.push({
        kind: 'NATS, subscribe',
        async ask() {
          const box = { denied: false }
          const made: Subscription = connection.subscribe(subject, {
            callback(error) {
              if (error) box.denied = true
            },
          })
          await settled(connection)
          const was = box.denied || refused.has(`subscription ${subject}`)
          made.unsubscribe()
          return was === !maySubscribe ? [] : [`${held.name} subscribes to ${subject}: ${was ? 'refused' : 'allowed'}`]
        },
      })
    }
  }
  cells.push(...(await endedCells(world)))
  return {
    cells,
    last: [await apart(world, opened)],
    async close() {
      for (const connection of opened) await connection.close()
    },
  }
}

/** What is refused is told before the answer to a ping. */
async function settled(connection: NatsConnection): Promise<void> {
  await connection.flush()
  await connection.flush()
}

/** A message of one tenant is not heard by a key of another that listens on the same subject. */
async function apart(world: World, opened: NatsConnection[]): Promise<Cell> {
  const wide: Held = { name: 'wide', pub: ['job.>', 'sys.heartbeat'], sub: ['sys.heartbeat'] }
  const ours = await open(world, (await credentialOf(world, world.a, wide)).credential)
  const theirs = await open(world, (await credentialOf(world, world.b, wide)).credential)
  opened.push(ours, theirs)
  return {
    kind: 'NATS, other tenant',
    async ask() {
      const heard: string[] = []
      const text = new TextDecoder()
      for (const subject of wide.sub)
        ours.subscribe(subject, { callback: (error, message) => void (error ?? heard.push(text.decode(message.data))) })
      await ours.flush()
      theirs.publish('sys.heartbeat', 'theirs')
      await theirs.flush()
      ours.publish('sys.heartbeat', 'ours')
      await ours.flush()
      for (let tries = 0; tries < 50 && !heard.includes('ours'); tries++) await ours.flush()
      if (!heard.includes('ours')) return ['what the own tenant says is not heard, so that this proves nothing']
      return heard.includes('theirs') ? ['another tenant is heard on the bus'] : []
    },
  }
}

async function endedCells(world: World): Promise<Cell[]> {
  const { kernel, a } = world
  const held: Held = { name: 'ended', pub: ['sys.heartbeat'], sub: ['job.one'] }
  const [revoked, frozen, other] = [
    await credentialOf(world, a, held),
    await credentialOf(world, a, held),
    await credentialOf(world, a, held),
  ]
  await kernel.db.tenant(a.id, (tx) => revokeKey(tx, kernel.clock.now(), revoked.key.id))
  await kernel.identity.cutOff(a.id, [revoked.key.id])
  await kernel.identity.freezePrincipal(a.id, frozen.key.id)
  const refused = (kind: string, credential: Credential | undefined): Cell => ({
    kind: 'NATS, bad credential',
    async ask() {
      const made = credential
        ? open(world, credential)
        : connect({ servers: kernel.natsUrls.client, reconnect: false, timeout: 5_000 })
      return made.then(
        async (connection) => {
          await connection.close()
          return [`the bus took ${kind}`]
        },
        () => [],
      )
    },
  })
  return [
    refused('nobody', undefined),
    refused('a revoked key', revoked.credential),
    refused('a frozen key', frozen.credential),
    refused('the seed of another key', { ...revoked.credential, jwt: other.credential.jwt }),
    refused('an altered credential', { ...other.credential, jwt: `${other.credential.jwt.slice(0, -4)}AAAA` }),
  ]
}
