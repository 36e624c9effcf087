import { until } from '../tests/server-process.ts'
import { pause } from './api.ts'
import { check, type Findings } from './checks.ts'
import { Installation, VICTIMS, type Victim } from './installation.ts'
import { Random } from './random.ts'
import { type Pace, Story } from './story.ts'

export interface KillOptions {
  kills: number
  seed: number
  pace?: Pace
  /** The worker publishes its results once and asks nothing. */
  plainWorker?: boolean
  /** Told once for each step. */
  say?(line: string): void
  /** Keeps the folder for a look into it. */
  keep?: boolean
}

export interface Recovery {
  victim: Victim
  /** Of an undisturbed recovery: until an authenticated read, a job through a worker, a command on the host worked again. In milliseconds. */
  served?: number
  job?: number
  command?: number
}

export interface KillReport {
  seed: number
  kills: Record<Victim, number>
  /** Kills that met the recovery from the one before. */
  overlapping: number
  recoveries: Recovery[]
  /** Starts that ended by themselves because a child was killed under them; the next one came up. */
  abandonedStarts: number
  seconds: number
  findings: Findings
}

const PACE: Pace = { jobs: 60, commands: 300, changes: 400 }
/** Of four kills one comes while the recovery from the last one is under way. */
const OVERLAP = 0.25

/**
 * Kills server, database, bus and agent at moments that the seed chooses while the story runs, starts the server again as a person
 * would and nothing else, and holds what the clients were told against what is stored.
 */
export async function killCampaign({
  kills,
  seed,
  pace = PACE,
  plainWorker = false,
  say = () => undefined,
  keep = false,
}: KillOptions): Promise<KillReport> {
  const random = new Random(seed)
  const began = Date.now()
  const installation = await Installation.make()
  const count: Record<Victim, number> = { server: 0, postgres: 0, nats: 0, agent: 0 }
  const recoveries: Recovery[] = []
  let overlapping = 0
  let abandonedStarts = 0
  let story: Story | undefined

  const over = new AbortController()

  /** Starts the server whenever it is not there, as a person would, and does nothing else. */
  async function keepUp(): Promise<void> {
    while (!over.signal.aborted) {
      const outcome = await installation.start()
      if (outcome === 'gave up') abandonedStarts += 1
      if (outcome === 'up') await installation.ended(Infinity)
    }
  }

  async function kill(victim: Victim): Promise<void> {
    await installation.kill(victim)
    count[victim] += 1
  }

  try {
    const first = await installation.start()
    if (first !== 'up') throw new Error(`the first start ${first}:\n${installation.output}`)
    const keeper = installation.ended(Infinity).then(keepUp)
    // Its failure shows where it is waited for, and in what does not recover.
    keeper.catch(() => undefined)
    story = new Story(installation, { ...pace, plainWorker })
    await story.begin()
    say(`the story runs in ${installation.home}`)
    for (let number = 1; number <= kills; number++) {
      const victim = random.of(VICTIMS)
      await pause(random.whole(300, 2500))
      const killedAt = Date.now()
      await kill(victim)
      if (number < kills && random.next() < OVERLAP) {
        overlapping += 1
        await pause(random.whole(0, 1200))
        const second = random.of(VICTIMS)
        number += 1
        say(`${number - 1}, ${number}: ${victim}, then ${second} during the recovery`)
        await kill(second)
        await recovered(story, Date.now(), undefined)
        continue
      }
      const recovery = await recovered(story, killedAt, victim)
      recoveries.push(recovery)
      say(
        `${number}: ${victim}; reads after ${recovery.served} ms, jobs after ${recovery.job} ms, commands after ${recovery.command} ms`,
      )
    }
    await story.settle()
    const findings = await check(installation, story)
    findings.violations.push(...installation.endedByItself)
    await story.close()
    story = undefined
    over.abort()
    await installation.stop().catch((error: unknown) => findings.violations.push(String(error)))
    await keeper
    if (findings.violations.length > 0) keep = true
    return {
      seed,
      kills: count,
      overlapping,
      recoveries,
      abandonedStarts,
      seconds: Math.round((Date.now() - began) / 1000),
      findings,
    }
  } catch (error) {
    say(installation.output.slice(-8000))
    keep = true
    throw error
  } finally {
    over.abort()
    await story?.close()
    await installation.end()
    if (keep) say(`the installation is kept in ${installation.home}`)
    else installation.remove()
  }
}

/** Waits until reads, jobs and commands work again; all three are tried at the same time. */
async function recovered(story: Story, since: number, victim: Victim | undefined): Promise<Recovery> {
  const after = async (works: () => Promise<boolean>): Promise<number> => {
    await until('the installation works again', () => works().catch(() => false), 90_000)
    return Date.now() - since
  }
  const [served, job, command] = await Promise.all([
    after(async () => (await story.api.call('GET', '/api/v1/instances', { timeoutMs: 2_000 })).status === 200),
    after(async () => {
      const id = await story.submit({ asks: false })
      await until('the job ends', async () => (await story.stateOf(id)) === 'SUCCEEDED', 90_000)
      return true
    }),
    after(() => story.command()),
  ])
  return { victim: victim ?? 'server', served, job, command }
}
