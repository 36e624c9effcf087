import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openWorld, type World } from '../testing/world.ts'

const root = fileURLToPath(new URL('../../../..', import.meta.url))
const page = readFileSync(join(root, 'docs', 'workers.md'), 'utf8')
let world: World
let folder: string
let worker: ChildProcess | undefined

beforeAll(async () => {
  world = await openWorld()
  folder = mkdtempSync(join(tmpdir(), 'wh-worker-'))
})
afterAll(async () => {
  if (worker && worker.exitCode === null) worker.kill('SIGKILL')
  await world.close()
  rmSync(folder, { recursive: true, force: true })
})

test('the worker of docs/workers.md runs with the key that the page makes, and stops when it is told to', async () => {
  const [, code = ''] = /```ts\n(.*?)```/s.exec(page) ?? []
  const [, asked = ''] = /-d '(\{.*?\})'\n/s.exec(page) ?? []
  expect(code.trim().split('\n').length).toBeLessThanOrEqual(20)
  const key = await world.call('POST', '/api/v1/keys', { body: asked })
  expect(key.status).toBe(200)
  writeFileSync(join(folder, 'printer.ts'), code)
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const child = spawn(process.execPath, ['printer.ts'], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', WHEELHOUSE_URL: world.url, WHEELHOUSE_API_KEY: key.body.token },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  worker = child
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()))
  await expect.poll(() => said, { timeout: 20_000 }).toMatch(/worker \S+ listens/)
  const body = { prompt: 'hello', topic: 'job.printer.print', context: { copies: 2 } }
  const made = await world.call('POST', '/api/v1/jobs', { body })
  const job = () => world.call('GET', `/api/v1/jobs/${made.body.job_id}`).then((answer) => answer.body)
  await expect.poll(async () => (await job()).state).toBe('SUCCEEDED')
  const { result } = await job()
  expect(result).toMatchObject({ printed: 'hello', copies: 2 })
  const receipt = await world.call('GET', `/api/v1/artifacts/${encodeURIComponent(result.receipt)}`)
  expect(Buffer.from(receipt.body.content_base64, 'base64').toString()).toBe('printed: hello')
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  expect(await ended).toBe(0)
})
