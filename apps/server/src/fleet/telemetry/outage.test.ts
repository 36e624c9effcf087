import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Db, openDb, patiently, sql } from '../../kernel/db/index.ts'
import { openWorld, type World } from '../../testing/world.ts'
import { openMetricStore } from '../metrics/store.ts'
import { ensureDays } from './days.ts'

/** The way to the database, which a test can close and open. */
let way: { close(): Promise<void>; open(): Promise<void> }
let world: World
let db: Db

beforeAll(async () => {
  world = await openWorld()
  const { hostname, port: databasePort } = new URL(world.databaseUrl)
  const sockets = new Set<Socket>()
  let server: Server
  let port = 0
  const open = (): Promise<void> =>
    new Promise((resolve) => {
      server = createServer((near) => {
        const far = connect(Number(databasePort), hostname)
        for (const socket of [near, far]) {
          sockets.add(socket)
          socket.on('error', () => undefined).on('close', () => void sockets.delete(socket))
        }
        near.pipe(far).pipe(near)
      }).listen(port, '127.0.0.1', () => {
        port = (server.address() as AddressInfo).port
        resolve()
      })
    })
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve())
      for (const socket of sockets) socket.destroy()
    })
  way = { open, close }
  await open()
  const url = new URL(world.databaseUrl)
  url.host = `127.0.0.1:${port}`
  db = openDb({ url: url.href, log: pino({ level: 'silent' }), maxConnections: 4 })
})
afterAll(async () => {
  await db.close()
  await way.close()
  await world.close()
})

test('a sample and a heartbeat that fall into an outage of the database are stored once it is back, once', async () => {
  await world.call('POST', '/api/v1/instances', { body: { instance_id: 'patient' } })
  const { feed, clock, log } = world.kernel
  const store = openMetricStore({ db, feed, clock, log, days: ensureDays(db) })
  const at = clock.now()
  const heard: unknown[] = []
  const leave = feed.subscribeLive(world.a.id, ['metrics'], ({ data }) => heard.push(data))

  await way.close()
  let refused = 0
  await db.tenant(world.a.id, (tx) => tx.run(sql`select 1`)).catch(() => refused++)
  expect(refused).toBe(1)
  const beat = { at, cpuPercent: 1, memoryUsed: null, memoryTotal: null, diskUsed: null, diskTotal: null }
  const stored = Promise.all([
    store.addSample(world.a.id, { ...EMPTY, instanceId: 'patient', at, cpuPercent: 12 }),
    store.addBeat(world.a.id, { ...beat, instanceId: 'patient', uptimeSeconds: 5 }),
  ])
  expect(await afterHalfASecond(stored)).toBe('waits')
  await way.open()
  await stored
  leave()

  const stands = await world.kernel.db.tenant(world.a.id, (tx) =>
    tx.one(sql<{ samples: string; beats: string }>`
      select (select count(*) from metrics where instance_id = 'patient') as samples,
             (select count(*) from heartbeats where instance_id = 'patient') as beats`),
  )
  expect([Number(stands.samples), Number(stands.beats)]).toEqual([1, 1])
  expect(heard).toHaveLength(1)
})

test('what is no outage is not tried again', async () => {
  let tries = 0
  const wrong = patiently(() => {
    tries++
    return world.kernel.db.tenant(world.a.id, (tx) => tx.run(sql`select 1 / 0`))
  })
  await expect(wrong).rejects.toThrow(/division by zero/)
  expect(tries).toBe(1)
})

/** Whether it still waits half a second later. */
const afterHalfASecond = (work: Promise<unknown>): Promise<string> =>
  Promise.race([work.then(() => 'done'), new Promise<string>((resolve) => setTimeout(() => resolve('waits'), 500))])

const EMPTY = {
  loadAvg1: null,
  loadAvg5: null,
  loadAvg15: null,
  cpuSteal: null,
  coreCount: null,
  memUsed: 1,
  memTotal: 2,
  memCached: null,
  swapUsed: null,
  swapTotal: null,
  diskUsed: 1,
  diskTotal: 2,
  diskReadBytes: null,
  diskWriteBytes: null,
  netBytesSent: null,
  netBytesRecv: null,
  netPacketsSent: null,
  netPacketsRecv: null,
  processCount: null,
  uptimeSeconds: null,
}
