import { startPostgres } from '../apps/server/src/testing/postgres.ts'
import { openWorld, type World, type WorldOptions } from '../apps/server/src/testing/world.ts'

/** A whole server on a PostgreSQL and a nats-server of its own, every reply held against its declaration; both end with `close`. */
export async function openOwnWorld(options: WorldOptions): Promise<{ world: World; close(): Promise<void> }> {
  const postgres = await startPostgres()
  try {
    const world = await openWorld({ ...options, postgres })
    const close = (): Promise<void> => world.close().finally(() => postgres.stop())
    return { world, close }
  } catch (error) {
    await postgres.stop()
    throw error
  }
}

/** Runs with such a world. */
export async function withWorld<T>(options: WorldOptions, run: (world: World) => Promise<T>): Promise<T> {
  const { world, close } = await openOwnWorld(options)
  try {
    return await run(world)
  } finally {
    await close()
  }
}

/** Does `count` things, `atOnce` of them side by side, in the order of their numbers. */
export async function sideBySide(
  count: number,
  atOnce: number,
  act: (number: number) => Promise<unknown>,
): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < count) await act(next++)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, lane))
}
