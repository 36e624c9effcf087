import { appendFileSync } from 'node:fs'
import { pino } from 'pino'
import { Type } from 'typebox'
import type { OperatorKeys } from '../kernel/bus/index.ts'
import { systemClock } from '../kernel/clock/index.ts'
import { loadConfig } from '../kernel/config/index.ts'
import { sql } from '../kernel/db/index.ts'
import { type Kernel, openKernel } from '../kernel/kernel.ts'
import type { Verb } from '../kernel/jobs/index.ts'

// An engine in a process of its own, for tests that kill it. Started by crash.test.ts of kernel/jobs.

const Input = Type.Object({ n: Type.Integer() })
const Output = Type.Object({ n: Type.Integer() })

/** Leaves a line for each time that it is performed, and a row for each time that it is settled. */
export const tracedVerb = (log: string): Verb<typeof Input, typeof Output> => ({
  name: 'trace:leave',
  topic: 'job.wh.test.trace.leave',
  input: Input,
  output: Output,
  risk: ['write'],
  timeoutMs: 30_000,
  maxAttempts: 1,
  facts: async () => ({}),
  async perform(run) {
    appendFileSync(log, `${run.jobId} ${run.attempt} ${run.fence} ${run.key}\n`)
    return run.input
  },
  async settle(tx, jobId, _input, end) {
    await tx.run(sql`
      insert into job_values (tenant_id, key, body, expires_at)
      values (${tx.tenantId}, ${`mem:settled-${jobId}`}, ${Buffer.from(end.kind)}, now() + interval '1 hour')`)
  },
})

export interface EngineProcess {
  databaseUrl: string
  dataDir: string
  nats: { url: string; keys: OperatorKeys }
  log: string
}

async function run(facts: EngineProcess): Promise<Kernel> {
  const config = structuredClone(
    loadConfig({ argv: [], env: { WHEELHOUSE_DATA_DIR: facts.dataDir }, cwd: facts.dataDir }),
  )
  const kernel = await openKernel({
    config,
    databaseUrl: facts.databaseUrl,
    nats: facts.nats,
    log: pino({ level: process.env['TEST_LOG'] ?? 'fatal' }),
    clock: systemClock,
  })
  kernel.jobs.register(tracedVerb(facts.log))
  await kernel.start()
  return kernel
}

if (process.argv[1]?.endsWith('engine-process.ts')) {
  process.once('message', (facts) => {
    void run(facts as EngineProcess).then(
      () => process.send?.('ready'),
      (error: unknown) => {
        process.send?.(String(error))
        process.exit(1)
      },
    )
  })
}
