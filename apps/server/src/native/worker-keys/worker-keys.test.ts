import { generateKeyPairSync } from 'node:crypto'
import { Worker } from '@wheelhouse/sdk/worker'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { capWorker } from '../../testing/cap-worker.ts'
import { openWorld, type World } from '../../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const path = (worker = '') => `/wheelhouse/api/v1/worker-keys${worker === '' ? '' : `/${worker}`}`
const pair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })
const pem = (key: ReturnType<typeof pair>['publicKey']): string =>
  key.export({ type: 'spki', format: 'pem' }).toString()
const live = () => world.kernel.jobs.workers.live(world.a.id).map(({ workerId }) => workerId)
const submit = async (topic: string): Promise<string> =>
  (await world.call('POST', '/api/v1/jobs', { body: { prompt: 'x', topic } })).body.job_id
const job = (id: string) => world.call('GET', `/api/v1/jobs/${id}`).then(({ body }) => body)

test('with a key configured, only who signs with it is a worker; without any, everybody is again', async () => {
  const { publicKey, privateKey } = pair()
  const put = await world.call('PUT', path('signed-1'), { body: { publicKey: pem(publicKey) } })
  expect(put).toMatchObject({ status: 200, body: { workerId: 'signed-1', publicKey: pem(publicKey) } })
  expect((await world.call('GET', path())).body).toMatchObject({ total: 1, items: [{ workerId: 'signed-1' }] })

  const unsigned = await capWorker(world, world.a, { id: 'unsigned', topics: ['job.signed'], work: () => ({}) })
  const forged = await worker('signed-1', pair().privateKey, 'job.forged')
  const stranger = await worker('stranger', pair().privateKey, 'job.stranger')
  const right = await worker('signed-1', privateKey, 'job.signed')
  try {
    unsigned.heartbeat({ capabilities: ['job.signed'] })
    await expect.poll(live).toEqual(['signed-1'])
    const id = await submit('job.signed')
    await expect.poll(async () => (await job(id)).state).toBe('SUCCEEDED')
    expect(await job(id)).toMatchObject({ result: { by: 'signed-1' }, worker_id: 'signed-1' })

    // What an unsigned sender says of a job is not heard, though its account is right.
    const waiting = await submit('job.unheard')
    unsigned.send('sys.job.result', { case: 'jobResult', value: { jobId: waiting, status: 5 } })
    await unsigned.connection.flush()
    expect((await world.call('DELETE', path('signed-1'))).status).toBe(204)
    // It waits, or somebody is just being looked for who takes it.
    expect(['PENDING', 'RUNNING']).toContain((await job(waiting)).state)
    unsigned.heartbeat()
    await expect.poll(live).toContain('unsigned')
  } finally {
    await Promise.all([unsigned.close(), ...[forged, stranger, right].map((each) => each.stop({ timeoutMs: 0 }))])
  }
})

test('takes public keys on P-256 alone, and names what is wrong', async () => {
  const put = (publicKey: string) => world.call('PUT', path('w'), { body: { publicKey } })
  const { privateKey } = pair()
  expect(await put(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())).toMatchObject({
    status: 400,
    body: { title: expect.stringContaining('private key') },
  })
  expect((await put(pem(generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey))).status).toBe(400)
  expect((await put('x'.repeat(64))).status).toBe(400)
  expect((await world.call('DELETE', path('nobody'))).status).toBe(404)
  expect(
    (await world.call('PUT', path('w'), { as: world.a.keys.operator, body: { publicKey: pem(pair().publicKey) } }))
      .status,
  ).toBe(403)
})

/** A worker of the SDK with the credential of a CAP worker. */
async function worker(id: string, signer: ReturnType<typeof pair>['privateKey'], topic: string): Promise<Worker> {
  const { token, close } = await capWorker(world, world.a, { id: `${id}-key` })
  await close()
  const made = new Worker({ id, signer, url: world.url, credentials: token, onError: () => undefined })
  made.handle(topic, () => ({ by: id }))
  await made.start()
  return made
}
