import type { Ground } from './ground.ts'
import { ENDED, startWorker, submitLife, throughput } from './job-life.ts'
import { perThing, used, usedText } from './load.ts'
import { type Figure, perSecond } from './report.ts'

const JOBS = 10_000
/** As many for the second server as it takes to be as warm as the first. */
const WARM = 10_000

/** The same jobs with one server, then with two on the same database and bus: what a job costs, and that none runs twice. */
export async function replicaFigures(ground: Ground): Promise<Figure[]> {
  const worker = await startWorker(ground)
  const measure = async (urls: readonly string[], second?: number) => {
    const submit = (n: number): Promise<string> => submitLife(ground, urls[n % urls.length])(n)
    await throughput(ground, ENDED, WARM, submit)
    const before = await used(ground, second)
    const rate = await throughput(ground, ENDED, JOBS, submit)
    return { rate, cpu: perThing(before, await used(ground, second), JOBS) }
  }
  const one = await measure([ground.url])
  const replica = await ground.replica()
  try {
    const two = await measure([ground.url, replica.url], replica.server.pid)
    const taken = await takenBy(worker)
    const section = 'Two replicas'
    return [
      {
        section,
        name: 'CPU of the servers for one job, two on one database and bus',
        ours: `${two.cpu.server.toFixed(0)} µs`,
        beside: `${one.cpu.server.toFixed(0)} µs with one`,
        ratio: two.cpu.server / one.cpu.server,
        bar: { atMost: 1.2 },
        note: `With one: ${usedText(one.cpu)}, ${perSecond(one.rate)}; with two: ${usedText(two.cpu)}, ${perSecond(two.rate)} (both share two cores with database and load).`,
      },
      {
        section,
        name: 'deliveries to the worker for each job',
        ours: (taken / (2 * (JOBS + WARM))).toFixed(4),
        beside: '1: none runs twice',
        ratio: taken / (2 * (JOBS + WARM)),
        bar: { atMost: 1 },
      },
    ]
  } finally {
    await replica.stop()
    worker.disconnect()
  }
}

/** How many jobs the worker has been given. */
function takenBy(worker: Awaited<ReturnType<typeof startWorker>>): Promise<number> {
  return new Promise((resolve) => {
    worker.once('message', (message) => resolve((message as { taken: number }).taken))
    worker.send('taken?')
  })
}
