import { afterAll, beforeAll, expect, test } from 'vitest'
import { openWorld, type World } from '../../testing/world.ts'
import { appendEvent, buildWindow, listEvents, type Mode, updateMemory, writePart } from './index.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const inTenant: World['kernel']['db']['tenant'] = (tenantId, run) => world.kernel.db.tenant(tenantId, run)
const bytes = (value: unknown): Uint8Array => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
const windowOf = (memoryId: string, mode: Mode, payload: unknown, maxInputTokens = 0) =>
  inTenant(world.a.id, (tx) =>
    buildWindow(
      tx,
      { memoryId, mode, payload: bytes(payload), maxInputTokens, maxOutputTokens: 0 },
      world.kernel.clock.now(),
    ),
  )

test('keeps the last twenty events, newest first, in pages that do not shift', async () => {
  const ts = Math.floor(world.kernel.clock.now() / 1000)
  await inTenant(world.a.id, async (tx) => {
    for (let n = 0; n < 25; n++) await appendEvent(tx, 'run:1', { role: 'user', content: `m${n}`, ts, step_id: 's' })
  })
  const first = await inTenant(world.a.id, (tx) => listEvents(tx, 'mem:run:1', { limit: 12 }))
  expect(first.items.map(({ event }) => event.content)).toEqual(Array.from({ length: 12 }, (_, n) => `m${24 - n}`))
  expect(first.items[0]).toEqual({ index: 24, event: { role: 'user', content: 'm24', ts, step_id: 's' } })
  const rest = await inTenant(world.a.id, (tx) => listEvents(tx, 'run:1', { limit: 12, cursor: first.next ?? 0 }))
  expect(rest.items.map(({ event }) => event.content)).toEqual(Array.from({ length: 8 }, (_, n) => `m${12 - n}`))
  expect(rest.next).toBeNull()
  expect(await inTenant(world.b.id, (tx) => listEvents(tx, 'run:1', { limit: 12 }))).toEqual({ items: [], next: null })
})

test('those who append at once get positions of their own', async () => {
  const seqs = await Promise.all(
    Array.from({ length: 8 }, (_, n) =>
      inTenant(world.a.id, (tx) => appendEvent(tx, 'busy', { role: 'user', content: String(n), ts: 1_900_000_000 })),
    ),
  )
  expect(seqs.toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
})

test('reads what the user says from each documented member, else takes the text itself', async () => {
  const said = async (payload: unknown) => (await windowOf('x', 'raw', payload)).messages
  expect(await said({ prompt: 'p', message: 'm' })).toEqual([{ role: 'user', content: 'p' }])
  expect(await said({ message: 'm' })).toEqual([{ role: 'user', content: 'm' }])
  expect(await said({ instruction: 'do', code_snippet: 'x()' })).toEqual([{ role: 'user', content: 'do\n\nx()' }])
  expect(await said('just words')).toEqual([{ role: 'user', content: 'just words' }])
})

test('a chat goes on where it ended; raw remembers nothing', async () => {
  const now = world.kernel.clock.now()
  const turn = (mode: Mode) =>
    inTenant(world.a.id, (tx) =>
      updateMemory(tx, { memoryId: 'mem:talk', mode, payload: bytes({ prompt: 'hi' }), response: bytes('hello') }, now),
    )
  await turn('raw')
  expect((await windowOf('talk', 'chat', 'and now')).messages).toHaveLength(1)
  await turn('chat')
  expect(await windowOf('talk', 'chat', 'and now')).toEqual({
    messages: [
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: 'hello' },
      { role: 'user', content: 'and now' },
    ],
    inputTokens: 1 + 2 + 2,
    outputTokens: 1024,
  })
  // The oldest give way; what is asked stays, whatever its size.
  expect((await windowOf('talk', 'chat', 'and now', 4)).messages.map(({ content }) => content)).toEqual([
    'hello',
    'and now',
  ])
  expect((await windowOf('talk', 'chat', 'and now', 1)).messages.map(({ content }) => content)).toEqual(['and now'])
})

test('retrieval adds the chunks that fit the file, or the summary where no file is named', async () => {
  const now = world.kernel.clock.now()
  await inTenant(world.a.id, async (tx) => {
    for (const [name, path] of [
      ['1', 'src/a.ts'],
      ['2', 'src/b.ts'],
    ] as const)
      await writePart(tx, { memoryId: 'code', kind: 'chunk', name }, { path, content: `of ${path}` }, now, 3_600_000)
  })
  expect((await windowOf('code', 'rag', { prompt: 'why', file_path: 'repo/src/a.ts' })).messages).toEqual([
    { role: 'system', content: 'src/a.ts\nof src/a.ts' },
    { role: 'user', content: 'why' },
  ])
  await world.call('PUT', '/api/v1/memory?key=mem:code:summary', { body: '"two files"' })
  expect((await windowOf('mem:code', 'rag', { prompt: 'why' })).messages).toEqual([
    { role: 'system', content: 'two files' },
    { role: 'user', content: 'why' },
  ])
})
