import { type ChildProcess, fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { natsCredentials } from './credentials.ts'
import type { Ground } from './ground.ts'
import { many } from './load.ts'

/** The bare service and its worker, as processes of their own on the same database and bus. */
export interface Bare {
  url: string
  credentials: { jwt: string; seed: string }
  /** Jobs a second that the database alone takes in batches of 500, two at a time. */
  rawGroupCommit(): Promise<number>
  stop(): void
}

function child(file: string, env: Record<string, string>): Promise<{ child: ChildProcess; message: { url?: string } }> {
  const started = fork(fileURLToPath(new URL(file, import.meta.url)), { env: { ...process.env, ...env } })
  return new Promise((resolve, reject) => {
    started.once('message', (message) => resolve({ child: started, message: message as { url?: string } }))
    started.once('exit', (code) => reject(new Error(`${file} ended with ${code}`)))
  })
}

export async function startBare(ground: Ground): Promise<Bare> {
  const credentials = await natsCredentials(ground, 'bare loop', { pub: ['bench.>'], sub: ['bench.>'] })
  const env = {
    BARE_DATABASE_URL: ground.databaseUrl,
    BARE_NATS_URL: ground.natsUrl,
    BARE_NATS_JWT: credentials.jwt,
    BARE_NATS_SEED: credentials.seed,
  }
  const server = await child('./bare-server.ts', env)
  const worker = await child('./bare-worker.ts', env)
  return {
    url: server.message.url ?? '',
    credentials,
    async rawGroupCommit() {
      const batch = 500
      const rate = await many(2, 200, async () => {
        const ids = Array.from({ length: batch }, () => randomUUID())
        await ground.pool.query({
          name: 'raw_group',
          text: `with made as (insert into bare_jobs (id, topic, request, state, created_at)
                   select i, 'bench.raw', '{"prompt":"x"}', 'ready', now() from unnest($1::uuid[]) as i)
                 insert into bare_outbox (id, body) select i, '{"prompt":"x"}' from unnest($1::uuid[]) as i`,
          values: [ids],
        })
      })
      return rate * batch
    },
    stop() {
      server.child.disconnect()
      worker.child.disconnect()
    },
  }
}
