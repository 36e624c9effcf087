import { setTimeout as pause } from 'node:timers/promises'
import { call } from './call.ts'
import { asEngine, type Ground } from './ground.ts'
import { Ends, follow, startWorker, submitLife, TOPIC } from './job-life.ts'
import { oneByOne, perThing, residentMib, used, usedText } from './load.ts'
import { type Figure, median, ms, perSecond } from './report.ts'

const CHILDREN = 10_000
const RUNS = 25
const FAN_WITHIN_MS = 90_000

/** Runs a workflow and looks until it has ended; the pauses are short beside what is measured. Returns what its start took. */
async function run(ground: Ground, id: string, input: unknown, pauseMs: number, withinMs = 20_000): Promise<number> {
  const began = performance.now()
  const { run_id: runId } = await call<{ run_id: string }>(ground, 'POST', `/api/v1/workflows/${id}/runs`, input)
  const startedMs = performance.now() - began
  const deadline = performance.now() + withinMs
  while (performance.now() < deadline) {
    const status = await statusOf(ground, runId)
    if (status === 'succeeded') return startedMs
    if (status === 'failed' || status === 'cancelled') throw new Error(`A run of ${id} ended as ${status}`)
    await pause(pauseMs)
  }
  throw new Error(`A run of ${id} did not end within ${withinMs} ms`)
}

/** From the record: a run of 10,000 children is large to read over HTTP, and reading it is not what is measured. */
const statusOf = (ground: Ground, runId: string): Promise<string> =>
  asEngine(ground, async (client) => {
    const { rows } = await client.query<{ status: string }>('select status from runs where id = $1', [runId])
    return rows[0]?.status ?? ''
  })

const chain = (steps: number): Record<string, unknown> =>
  Object.fromEntries(
    Array.from({ length: steps }, (_, i) => [
      `s${i}`,
      { type: 'worker', topic: TOPIC, ...(i === 0 ? {} : { depends_on: [`s${i - 1}`] }) },
    ]),
  )

/** Workflows of 1, 3 and 10 steps beside a lone job. */
export async function workflowFigures(ground: Ground): Promise<Figure[]> {
  const worker = await startWorker(ground)
  try {
    const ends = new Ends()
    const socket = await follow(ground, ends)
    const submit = submitLife(ground)
    await oneByOne(20, async () => ends.wait(await submit(0)))
    const lone = median(await oneByOne(100, async () => ends.wait(await submit(0))))
    socket.close()
    const took: Record<number, number> = {}
    for (const steps of [1, 3, 10]) {
      const id = `bench-${steps}`
      await call(ground, 'POST', '/api/v1/workflows', { id, steps: chain(steps) })
      await oneByOne(3, () => run(ground, id, {}, 2))
      took[steps] = median(await oneByOne(RUNS, () => run(ground, id, {}, 2)))
    }
    const [one = 0, three = 0, ten = 0] = [took[1], took[3], took[10]]
    // Starting a run and asking for it are the same in all of them.
    const step = (ten - one) / 9
    const section = 'Workflows'
    return [
      {
        section,
        name: 'one more step of a run, p50 (runs of 10 steps beside runs of 1)',
        ours: ms(step),
        beside: `${ms(lone)}: a lone job`,
        ratio: step / lone,
        bar: { atMost: 1.5 },
        note: `Whole runs, start to seen end: 1 step ${ms(one)}, 3 steps ${ms(three)}, 10 steps ${ms(ten)}.`,
      },
    ]
  } finally {
    worker.disconnect()
  }
}

/** One step that does 10,000 jobs, 500 at a time. */
export async function fanOutFigures(ground: Ground): Promise<Figure[]> {
  const worker = await startWorker(ground)
  try {
    await call(ground, 'POST', '/api/v1/workflows', {
      id: 'bench-fan',
      steps: {
        // Its own input: else each child would get all ten thousand items.
        fan: { type: 'worker', topic: TOPIC, for_each: 'input.items', max_parallel: 500, input: { n: '${item}' } },
      },
    })
    const items = Array.from({ length: CHILDREN }, (_, i) => i)
    const before = await used(ground)
    const started = performance.now()
    const memory = await residentMib(ground)
    const startMs = await run(ground, 'bench-fan', { items }, 100, FAN_WITHIN_MS)
    const fanMs = performance.now() - started
    const cpu = perThing(before, await used(ground), CHILDREN)
    return [
      {
        section: 'Workflows',
        name: `fan-out of ${CHILDREN.toLocaleString('en')} children, 500 at a time`,
        ours: `${(fanMs / 1000).toFixed(1)} s, ${perSecond(CHILDREN / (fanMs / 1000))}`,
        beside: '',
        note: `The start answered after ${ms(startMs)}; memory of the server rose by ${Math.max(0, (await residentMib(ground)) - memory).toFixed(0)} MiB. CPU of one child: ${usedText(cpu)}.`,
      },
    ]
  } finally {
    worker.disconnect()
  }
}
