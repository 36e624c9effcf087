import { setTimeout as pause } from 'node:timers/promises'
import { until } from '../tests/server-process.ts'
import { check, type Findings, type Outage } from './checks.ts'
import { Installation, VICTIMS, type Victim } from './installation.ts'
import { type Probed, Prober } from './prober.ts'
import { Random } from './random.ts'
import { type Pace, Story } from './story.ts'

/** Who is killed each time: this one, all three at once, or (`any`) whom the seed chooses, also during the recovery from another. */
export const TARGETS = ['any', ...VICTIMS, 'together'] as const
export type Target = (typeof TARGETS)[number]

export interface KillOptions {
  kills: number
  seed: number
  target?: Target
  /** Jobs a second; absent: the slow story, in which every entry of the journal is synced. */
  rate?: number
  /** No more is killed after so many minutes; the report says how many were. */
  minutes?: number
  pace?: Pace
  /** The worker publishes its results once and asks nothing. */
  plainWorker?: boolean
  /** Told once for each step. */
  say?(line: string): void
  /** Keeps the folder for a look into it. */
  keep?: boolean
}

export interface Recovery {
  victim: Victim | 'together'
  /** Of an undisturbed recovery: until an authenticated read, a job through a worker, a command on the host worked again. In milliseconds. */
  served?: number
  job?: number
  command?: number
}

export interface KillReport {
  seed: number
  target: Target
  rate: number | undefined
  probed: Probed
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
  target = 'any',
  rate,
  minutes = 18,
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
  const outages: Outage[] = []
  let story: Story | undefined
  let prober: Prober | undefined

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
    story = new Story(installation, { ...pace, plainWorker, ...(rate === undefined ? {} : { rate }) })
    await story.begin()
    prober = new Prober(installation.url, installation.connection.admin.apiKey)
    say(`the story runs in ${installation.home}`)
    for (let number = 1; number <= kills && Date.now() - began < minutes * 60_000; number++) {
      const hit: Hit = target === 'any' ? random.of(VICTIMS) : target
      await pause(target === 'any' ? random.whole(300, 2500) : random.whole(100, 900))
      const killedAt = Date.now()
      if (hit === 'together') for (const victim of TOGETHER) await kill(victim)
      else await kill(hit)
      if (target === 'any' && number < kills && random.next() < OVERLAP) {
        overlapping += 1
        await pause(random.whole(0, 1200))
        const second = random.of(VICTIMS)
        number += 1
        say(`${number - 1}, ${number}: ${hit}, then ${second} during the recovery`)
        const again = Date.now()
        await kill(second)
        const { job = 0 } = await recovered(story, again, second, true)
        outages.push({ from: killedAt, until: again + job })
        continue
      }
      const recovery = await recovered(story, killedAt, hit, target === 'any')
      recoveries.push(recovery)
      outages.push({ from: killedAt, until: killedAt + Math.max(recovery.served ?? 0, recovery.job ?? 0) })
      say(`${number}: ${hit}; ${told(recovery)}`)
    }
    const probed = await prober.stop()
    await story.settle()
    const findings = await check(installation, story, 120_000, outages)
    findings.violations.push(...installation.endedByItself, ...probed.violations)
    // Who kills only what is beneath the server finds the server there all the time.
    const isThere = target === 'postgres' || target === 'nats' || target === 'agent'
    if (isThere && probed.refused > 0) findings.violations.push(`${probed.refused} connections were refused or broke`)
    await story.close()
    story = undefined
    over.abort()
    await installation.stop().catch((error: unknown) => findings.violations.push(String(error)))
    await keeper
    if (findings.violations.length > 0) keep = true
    return {
      seed,
      target,
      rate,
      probed,
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
    await prober?.stop()
    await story?.close()
    await installation.end()
    if (keep) say(`the installation is kept in ${installation.home}`)
    else installation.remove()
  }
}

type Hit = Victim | 'together'

/** At once, as when the machine stops: what the server stands on first, so that it still meets their death. */
const TOGETHER = ['postgres', 'nats', 'server'] as const

const told = ({ served, job, command }: Recovery): string =>
  `reads after ${served} ms, jobs after ${job} ms${command === undefined ? '' : `, commands after ${command} ms`}`

/** Waits until reads, jobs and (where `commands`) commands work again; all are tried at the same time. */
async function recovered(story: Story, since: number, victim: Hit, commands: boolean): Promise<Recovery> {
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
    commands ? after(() => story.command()) : undefined,
  ])
  return { victim, served, job, ...(command === undefined ? {} : { command }) }
}
