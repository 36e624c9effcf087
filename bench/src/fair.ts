import { setTimeout as pause } from 'node:timers/promises'
import type pg from 'pg'
import { makeKey } from './credentials.ts'
import { asEngine, type Ground } from './ground.ts'
import { Ends, follow, post, startWorker } from './job-life.ts'
import { oneByOne, perThing, used, usedText } from './load.ts'
import { type Figure, median, ms, perSecond } from './report.ts'
import { asOtherTenant } from './tenant.ts'

const TOPIC = 'job.bench.fair'
const WAITING = 100_000
const SLOTS = 20
const LONE = 40
const MEASURE_MS = 5_000
const LEASE = ['lease_owner', 'lease_until', 'expires_at', 'started_at', 'worker_id', 'account', 'run_at']

/** A job's rows, many times over: 100,000 submissions would take longer than all that is measured. */
async function clone(client: pg.PoolClient, id: string): Promise<void> {
  const changed: Record<string, Record<string, string>> = {
    jobs: { id: `id || '-' || g`, updated_us: 'updated_us + g', topic: `'${TOPIC}'` },
    job_queue: {
      id: `id || '-' || g`,
      n: 'n + g::bigint * 1000000',
      state: `'ready'`,
      topic: `'${TOPIC}'`,
      pool: `'~${TOPIC}'`,
      fence: '0',
      ...Object.fromEntries(LEASE.map((name) => [name, 'null'])),
    },
    decisions: { job_id: `job_id || '-' || g` },
  }
  for (const [table, own] of Object.entries(changed)) {
    const { rows } = await client.query<{ name: string }>(
      `select column_name as name from information_schema.columns where table_name = $1 and is_generated = 'NEVER'`,
      [table],
    )
    const names = rows.map(({ name }) => name)
    const key = table === 'decisions' ? 'job_id' : 'id'
    await client.query(
      `insert into ${table} (${names.join(', ')}) select ${names.map((name) => own[name] ?? name).join(', ')}
         from ${table} cross join generate_series(1, ${WAITING}) g where ${key} = $1`,
      [id],
    )
  }
}

/** Where a tenant has 100,000 jobs waiting: what a job of another of its keys and one of another tenant wait, and the backlog's own pace. */
export async function fairFigures(ground: Ground): Promise<Figure[]> {
  const quiet = await makeKey(ground, 'bench quiet key', { pub: [], sub: [] })
  const other = await asOtherTenant(ground)
  const submit = (key: string): Promise<string> =>
    post(`${ground.url}/api/v1/jobs`, { prompt: 'work', topic: TOPIC }, key)

  const noisy = await submit(ground.apiKey)
  return asEngine(ground, async (client) => {
    const waiting = async (): Promise<number> =>
      Number(
        (await client.query<{ n: string }>(`select count(*) as n from job_queue where topic = '${TOPIC}'`)).rows[0]?.n,
      )
    const ends = new Ends()
    const sockets = [await follow(ground, ends), await follow(other, ends)]
    const workers: Awaited<ReturnType<typeof startWorker>>[] = []
    try {
      workers.push(await startWorker(ground, { id: 'bench-fair', topic: TOPIC, slots: SLOTS }))
      workers.push(await startWorker(other, { id: 'bench-other', topic: TOPIC, slots: SLOTS }))
      const waits = async (key: string): Promise<number> => {
        const one = async (): Promise<void> => ends.wait(await submit(key))
        await oneByOne(20, one)
        return median(await oneByOne(LONE, one))
      }
      await ends.wait(noisy)
      const alone = { key: await waits(quiet), tenant: await waits(other.apiKey) }

      const model = await post(`${ground.url}/api/v1/jobs`, { prompt: 'work', topic: `${TOPIC}.model` }, ground.apiKey)
      await clone(client, model)
      const beside = { key: await waits(quiet), tenant: await waits(other.apiKey) }
      for (const socket of sockets) socket.close()

      const before = { at: performance.now(), waiting: await waiting(), used: await used(ground) }
      await pause(MEASURE_MS)
      const done = before.waiting - (await waiting())
      const cpu = perThing(before.used, await used(ground), done)
      const rate = done / ((performance.now() - before.at) / 1000)
      return [
        {
          section: 'Fair turns',
          name: `one job of another key while ${WAITING.toLocaleString('en')} jobs of a key wait for the same ${SLOTS} slots, p50`,
          ours: ms(beside.key),
          beside: `${ms(alone.key)}: the same key when nothing waits`,
          ratio: beside.key / alone.key,
        },
        {
          section: 'Fair turns',
          name: 'one job of another tenant with a worker of its own meanwhile, p50',
          ours: ms(beside.tenant),
          beside: `${ms(alone.tenant)}: the same tenant when nothing waits`,
          ratio: beside.tenant / alone.tenant,
          bar: { atMost: 2 },
          note: `The backlog itself: ${perSecond(rate)}. CPU of one job: ${usedText(cpu)}.`,
        },
      ]
    } finally {
      for (const socket of sockets) socket.close()
      for (const worker of workers) worker.disconnect()
      await client.query('delete from job_queue where topic = $1', [TOPIC]).catch(() => undefined)
    }
  })
}
