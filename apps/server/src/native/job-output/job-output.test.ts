import { contract } from '@wheelhouse/contract'
import type { EndEvent, OutputEvent, StateEvent } from '@wheelhouse/contract/native/job-output'
import { createClient, type ServerEvent } from '@wheelhouse/sdk'
import { Type } from 'typebox'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Fault } from '@wheelhouse/contract'
import type { Run, Verb } from '../../kernel/jobs/index.ts'
import { openWorld, type World } from '../../testing/world.ts'

const Input = Type.Object({ name: Type.String() })
const Output = Type.Object({ exitCode: Type.Integer() })

/** What the tests make the running job do. */
const scripts = new Map<string, (run: Run<{ name: string }>) => Promise<{ exitCode: number }>>()

const talk: Verb<typeof Input, typeof Output> = {
  name: 'talk:say',
  topic: 'job.wh.test.talk.say',
  input: Input,
  output: Output,
  risk: ['read'],
  timeoutMs: 30_000,
  maxAttempts: 1,
  facts: async () => ({}),
  perform: (run) => (scripts.get(run.input.name) as (run: Run<{ name: string }>) => Promise<{ exitCode: number }>)(run),
  settle: async () => {},
}

let world: World
beforeAll(async () => {
  world = await openWorld()
  world.kernel.jobs.register(talk)
})
afterAll(() => world.close())

/** Begins a job whose end the test holds in its hand. */
async function begin(name: string) {
  let running: (run: Run<{ name: string }>) => void = () => {}
  let end: (exitCode: number) => void = () => {}
  const run = new Promise<Run<{ name: string }>>((resolve) => (running = resolve))
  const ended = new Promise<number>((resolve) => (end = resolve))
  scripts.set(name, async (it) => {
    running(it)
    return { exitCode: await ended }
  })
  const { kernel, a } = world
  const principal = await world.principal(a.keys.admin)
  const { jobId } = await kernel.db.tenant(a.id, (tx) => kernel.jobs.submit(tx, principal, talk, { name }))
  return { jobId, run: await run, end }
}

const client = (key = world.a.keys.viewer) => createClient(contract, { url: world.url, token: () => key })
const path = (jobId: string) => `/wheelhouse/api/v1/jobs/${jobId}/output`

/** Reads events until one is the last that the test wants. */
async function hear(
  events: AsyncIterable<ServerEvent>,
  enough: (event: ServerEvent) => boolean | Promise<boolean>,
): Promise<ServerEvent[]> {
  const heard: ServerEvent[] = []
  for await (const event of events) {
    heard.push(event)
    if (await enough(event)) break
  }
  return heard
}

const isEnd = ({ event }: ServerEvent) => event === 'end'
const textOf = (events: readonly ServerEvent[], stream: 'stdout' | 'stderr'): string =>
  events
    .filter(({ event }) => event === stream)
    .map(({ data }) => (JSON.parse(data) as OutputEvent).chunk)
    .join('')

describe('the output of a job', () => {
  test('comes live, each stream by its name, and ends with what the job gave', async () => {
    const { jobId, run, end } = await begin('live')
    const heard = await hear(client().events(path(jobId)), ({ event, data }) => {
      if (event === 'state' && (JSON.parse(data) as StateEvent).state === 'RUNNING') run.output('stdout', 'one\n')
      if (event === 'stdout' && data.includes('one')) run.output('stderr', 'two\n')
      if (event === 'stderr') end(3)
      return event === 'end'
    })
    expect(textOf(heard, 'stdout')).toBe('one\n')
    expect(textOf(heard, 'stderr')).toBe('two\n')
    expect(JSON.parse(heard.at(-1)?.data ?? '{}') as EndEvent).toEqual({ state: 'SUCCEEDED', output: { exitCode: 3 } })
  })

  test('is whole and in order for whoever comes late, leaves and comes again', async () => {
    const { jobId, run, end } = await begin('again')
    const lines = Array.from({ length: 300 }, (_, at) => `line ${at}\n`)
    for (const line of lines.slice(0, 100)) run.output('stdout', line)
    const first = await hear(client().events(path(jobId)), ({ id }) => id === '60')
    for (const line of lines.slice(100, 200)) run.output('stdout', line)
    const second = await hear(client().events(path(jobId), { lastEventId: '60' }), ({ id }) => id === '150')
    for (const line of lines.slice(200)) run.output('stdout', line)
    end(0)
    const last = await hear(client().events(path(jobId), { lastEventId: '150' }), isEnd)
    const ids = [...first, ...second, ...last].filter(({ event }) => event === 'stdout').map(({ id }) => Number(id))
    expect(ids).toEqual(lines.map((_, at) => at + 1))
    expect([first, second, last].map((events) => textOf(events, 'stdout')).join('')).toBe(lines.join(''))
  })

  test('of a job that has ended is told from the record', async () => {
    const { jobId, run, end } = await begin('over')
    run.output('stdout', 'kept')
    end(0)
    await world.kernel.jobs.wait(world.a.id, jobId, 10_000)
    const heard = await hear(client().events(path(jobId)), isEnd)
    expect(heard.map(({ event }) => event)).toEqual(['stdout', 'end'])
    expect(await hear(client().events(`${path(jobId)}?after=1`), isEnd)).toMatchObject([{ event: 'end' }])
  })

  test('says where more was written than is kept', async () => {
    const { jobId, run, end } = await begin('much')
    const block = 'x'.repeat(400_000)
    for (let count = 0; count < 5; count += 1) run.output('stdout', block)
    end(0)
    await world.kernel.jobs.wait(world.a.id, jobId, 10_000)
    const heard = await hear(client().events(path(jobId)), isEnd)
    expect(textOf(heard, 'stdout').length).toBeLessThan(block.length * 5)
    expect(heard.some(({ event }) => event === 'gap')).toBe(true)
  })

  test('of a failure carries its code and message', async () => {
    const { jobId, run, end } = await begin('failing')
    scripts.set('failing', () => Promise.reject(new Fault('COMMAND_FAILED', {}, { message: 'it broke' })))
    expect(run.jobId).toBe(jobId)
    end(0)
    const { kernel, a } = world
    const principal = await world.principal(a.keys.admin)
    const failed = await kernel.db.tenant(a.id, (tx) => kernel.jobs.submit(tx, principal, talk, { name: 'failing' }))
    const heard = await hear(client().events(path(failed.jobId)), isEnd)
    expect(JSON.parse(heard.at(-1)?.data ?? '{}') as EndEvent).toMatchObject({ state: 'FAILED', message: 'it broke' })
  })
})

test('another tenant and nobody learn nothing of a job', async () => {
  const { jobId, end } = await begin('mine')
  await expect(hear(client(world.b.keys.admin).events(path(jobId)), isEnd)).rejects.toMatchObject({ status: 404 })
  await expect(hear(client('').events(path(jobId)), isEnd)).rejects.toMatchObject({ status: 401 })
  end(0)
})
