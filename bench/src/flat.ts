import type { Ground } from './ground.ts'
import { ENDED, startWorker, submitLife, throughput } from './job-life.ts'
import { fill } from './lists.ts'
import { perThing, type Used, used, usedText } from './load.ts'
import type { Figure } from './report.ts'

const JOBS = 5_000

/** What a job's whole life costs in CPU with few jobs stored, and with a million. */
export async function flatFigures(ground: Ground): Promise<Figure[]> {
  const worker = await startWorker(ground)
  const measure = async (): Promise<Used> => {
    await throughput(ground, ENDED, 1_000, submitLife(ground))
    const before = await used(ground)
    await throughput(ground, ENDED, JOBS, submitLife(ground))
    return perThing(before, await used(ground), JOBS)
  }
  try {
    const few = await measure()
    await fill(ground, 1, 1_000_000)
    // What autovacuum would do in its time: it must not fall into one of the two measurements.
    await ground.pool.query('vacuum analyze jobs')
    await ground.pool.query('checkpoint').catch(() => undefined)
    const many = await measure()
    const sum = ({ server, postgres }: Used): number => server + postgres
    return [
      {
        section: 'Cost by what is stored',
        name: 'CPU of a job’s whole life (server and PostgreSQL) with 1,000,000 more jobs stored',
        ours: `${sum(many).toFixed(0)} µs`,
        beside: `${sum(few).toFixed(0)} µs before`,
        ratio: sum(many) / sum(few),
        bar: { atMost: 1.2 },
        note: `Before: ${usedText(few)}; with a million more: ${usedText(many)}.`,
      },
    ]
  } finally {
    worker.disconnect()
  }
}
