import { startPostgres } from '../apps/server/src/testing/postgres.ts'
import { openWorld, type World, type WorldOptions } from '../apps/server/src/testing/world.ts'

/** Runs with a whole server on a PostgreSQL and a nats-server of its own, every reply held against its declaration; both end with it. */
export async function withWorld<T>(options: WorldOptions, run: (world: World) => Promise<T>): Promise<T> {
  const postgres = await startPostgres()
  try {
    const world = await openWorld({ ...options, postgres })
    try {
      return await run(world)
    } finally {
      await world.close()
    }
  } finally {
    await postgres.stop()
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
