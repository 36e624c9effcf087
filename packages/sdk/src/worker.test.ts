import { expect, test } from 'vitest'
import { covers, limitsOf } from './worker-job.ts'
import { openStore } from './worker-store.ts'
import { Worker } from './worker.ts'

test('a handled topic covers what NATS would deliver for it', () => {
  const cases: [string, string, boolean][] = [
    ['job.a', 'job.a', true],
    ['job.a', 'job.a.b', false],
    ['job.*', 'job.a', true],
    ['job.*', 'job', false],
    ['job.*.b', 'job.a.b', true],
    ['job.*.b', 'job.a.c', false],
    ['job.>', 'job.a.b', true],
    ['job.>', 'job', false],
  ]
  for (const [pattern, topic, yes] of cases) expect(covers(pattern, topic), `${pattern} ${topic}`).toBe(yes)
})

test('reads what policy wrote into the environment', () => {
  const env = {
    CORDUM_POLICY_CONSTRAINTS: '{"redactionLevel":"strict"}',
    CORDUM_REDACTION_LEVEL: 'strict',
    CORDUM_MAX_ARTIFACT_BYTES: '10',
  }
  expect(limitsOf({ env })).toEqual({
    constraints: { redactionLevel: 'strict' },
    redactionLevel: 'strict',
    maxArtifactBytes: 10,
  })
  expect(limitsOf({ env: {} })).toEqual({ constraints: null, redactionLevel: '', maxArtifactBytes: undefined })
})

test('an artifact beyond what policy allows is not sent, and without a server there is nowhere to send one', async () => {
  const store = await openStore({ url: 'http://127.0.0.1:1' })
  await expect(store.upload('eleven bytes', {}, 10)).rejects.toThrow('policy allows 10')
  const alone = await openStore({})
  await expect(alone.upload('x', {}, undefined)).rejects.toThrow('url')
  expect(await alone.read('redis://ctx:1')).toBeNull()
  expect(await alone.read('https://elsewhere.test/x')).toBeNull()
})

test('names topics before it starts, and says what is wrong with them', async () => {
  const worker = new Worker({ natsUrl: 'nats://127.0.0.1:1' })
  expect(() => worker.handle('print', () => null)).toThrow('begins with "job."')
  await expect(worker.start()).rejects.toThrow()
  await worker.stop()
})
