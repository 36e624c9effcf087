import { pino } from 'pino'
import { expect, test } from 'vitest'
import { openBatch } from './batch.ts'

const log = pino({ level: 'silent' })

test('callers that come while a write is under way share the next one', async () => {
  const sizes: number[] = []
  let release = (): void => {}
  const gate = new Promise<void>((resolve) => (release = resolve))
  const batch = openBatch<number, number>({ name: 't', log, maxInFlight: 1 }, async (items) => {
    sizes.push(items.length)
    if (sizes.length === 1) await gate
    return items.map((item) => item * 2)
  })
  const first = batch.add(1)
  await expect.poll(() => sizes).toEqual([1])
  const rest = Promise.all(Array.from({ length: 700 }, (_, i) => batch.add(i)))
  release()
  expect(await first).toBe(2)
  expect((await rest)[699]).toBe(1398)
  expect(sizes).toEqual([1, 500, 200])
  await batch.idle()
  expect(batch.size()).toBe(0)
})

test('an item that cannot be written fails its own caller alone', async () => {
  const batch = openBatch<number, number>({ name: 't', log }, async (items) => {
    if (items.includes(13)) throw new Error('thirteen')
    return [...items]
  })
  const results = await Promise.allSettled(Array.from({ length: 40 }, (_, i) => batch.add(i)))
  expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(1)
  expect(results[13]).toMatchObject({ status: 'rejected', reason: { message: 'thirteen' } })
})

test('a deadlock is tried once more as it is', async () => {
  let tries = 0
  const batch = openBatch<number, number>({ name: 't', log }, async (items) => {
    tries += 1
    if (tries === 1) throw Object.assign(new Error('deadlock detected'), { code: '40P01' })
    return [...items]
  })
  expect(await batch.add(1)).toBe(1)
  expect(tries).toBe(2)
})

test('while the database is away every caller hears of it, and nothing is tried in halves', async () => {
  let tries = 0
  const batch = openBatch<number, number>({ name: 't', log }, async () => {
    tries += 1
    throw Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
  })
  const results = await Promise.allSettled([batch.add(1), batch.add(2), batch.add(3)])
  expect(results.every(({ status }) => status === 'rejected')).toBe(true)
  expect(tries).toBe(1)
})

test('an item of many rows counts as many: it shares a write where there is room, and goes alone where it is larger', async () => {
  const writes: number[][] = []
  let release = (): void => {}
  const gate = new Promise<void>((resolve) => (release = resolve))
  const options = { name: 't', log, maxInFlight: 1, maxItems: 10, sizeOf: (rows: number) => rows }
  const batch = openBatch<number, true>(options, async (items) => {
    writes.push([...items])
    if (writes.length === 1) await gate
    return items.map((): true => true)
  })
  const first = batch.add(1)
  await expect.poll(() => writes.length).toBe(1)
  const rest = Promise.all([batch.add(4), batch.add(6), batch.add(25), batch.add(2)])
  release()
  await first
  await rest
  expect(writes).toEqual([[1], [4, 6], [25], [2]])
})

test('beyond what may wait, the caller is asked to come back, and what waits is written', async () => {
  let release = (): void => {}
  const gate = new Promise<void>((resolve) => (release = resolve))
  const options = { name: 't', log, maxInFlight: 1, maxQueued: 3 }
  const batch = openBatch<number, true>(options, async (items) => {
    await gate
    return items.map((): true => true)
  })
  const kept = [1, 2, 3].map((item) => batch.add(item))
  await expect(batch.add(4)).rejects.toMatchObject({ code: 'SYS_UNAVAILABLE', retryAfterMs: 1000 })
  release()
  expect(await Promise.all(kept)).toEqual([true, true, true])
  expect(await batch.add(5)).toBe(true)
})
