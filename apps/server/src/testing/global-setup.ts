import type { TestProject } from 'vitest/node'
import type { OperatorKeys } from '../kernel/bus/index.ts'
import { startNats, type NatsFixture } from './nats.ts'
import { startPostgres, type PostgresFacts, type TestPostgres } from './postgres.ts'

declare module 'vitest' {
  interface ProvidedContext {
    postgres: PostgresFacts
    nats: { url: string; wsUrl: string; keys: OperatorKeys }
  }
}

let running: { postgres: TestPostgres; nats: NatsFixture } | undefined

/** Starts the PostgreSQL and the nats-server that all suites of the run share; tests read them with `inject`. */
export async function setup(project: TestProject): Promise<void> {
  const [postgres, nats] = await Promise.all([startPostgres(), startNats()])
  running = { postgres, nats }
  const { host, port, user, password } = postgres
  project.provide('postgres', { host, port, user, password })
  project.provide('nats', { url: nats.url, wsUrl: nats.wsUrl, keys: nats.keys })
}

export async function teardown(): Promise<void> {
  await Promise.all([running?.postgres.stop(), running?.nats.stop()])
}
