import { closeSync, fsyncSync, openSync, readdirSync, readSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { check, type Findings, type Outage } from './checks.ts'
import { Installation } from './installation.ts'
import { Random } from './random.ts'
import { percentile } from './report.ts'
import { Story } from './story.ts'

export interface DamageOptions {
  turns: number
  seed: number
  /** Jobs that are acknowledged before each stop. */
  jobs?: number
  /** The worker publishes its results once and asks nothing. */
  plainWorker?: boolean
  say?(line: string): void
  keep?: boolean
}

interface Turn {
  how: 'deleted' | 'flipped'
  stop: 'orderly' | 'server killed' | 'bus and server killed'
  file: string
  /** Acknowledged, not held, and without an effect when everything stood still. */
  undelivered: number
  upMs: number
}

export interface DamageReport {
  seed: number
  seconds: number
  turns: Turn[]
  findings: Findings
}

const JOBS = 80
const STOPS = ['orderly', 'server killed', 'bus and server killed'] as const

/**
 * Stops an installation with work in flight, deletes the JetStream store or turns one byte of it over, and starts it again, nothing else.
 * Everything that was acknowledged must be driven again from PostgreSQL.
 */
export async function damageCampaign({
  turns,
  seed,
  jobs = JOBS,
  plainWorker = false,
  say = () => undefined,
  keep = false,
}: DamageOptions): Promise<DamageReport> {
  const random = new Random(seed)
  const began = Date.now()
  const installation = await Installation.make()
  const done: Turn[] = []
  const outages: Outage[] = []
  let story: Story | undefined
  try {
    const first = await installation.start()
    if (first !== 'up') throw new Error(`the first start ${first}:\n${installation.output}`)
    story = new Story(installation, { jobs: 20, commands: 400, changes: 400, plainWorker })
    await story.begin()
    for (let turn = 0; turn < turns; turn++) {
      const how = turn % 2 === 0 ? 'deleted' : 'flipped'
      const stop = random.of(STOPS)
      await burst(story, jobs)
      const from = Date.now()
      if (stop === 'bus and server killed') await installation.kill('nats')
      if (stop === 'orderly') await installation.stop()
      else {
        await installation.kill('server')
        await installation.end()
      }
      const undelivered = waiting(story)
      const file = damage(join(installation.dataDir, 'nats', 'store'), how, random)
      const startedAt = Date.now()
      const outcome = await installation.start()
      if (outcome !== 'up')
        throw new Error(`the start after the damage ${outcome}:\n${installation.output.slice(-4000)}`)
      outages.push({ from, until: Date.now() })
      done.push({ how, stop, file, undelivered, upMs: Date.now() - startedAt })
      say(`${turn + 1}: ${stop}, ${how} ${file}; ${undelivered} undelivered; up after ${Date.now() - startedAt} ms`)
    }
    await story.settle()
    const findings = await check(installation, story, 120_000, outages)
    findings.violations.push(...installation.endedByItself)
    await story.close()
    story = undefined
    await installation.stop().catch((error: unknown) => findings.violations.push(String(error)))
    if (findings.violations.length > 0) keep = true
    return { seed, seconds: Math.round((Date.now() - began) / 1000), turns: done, findings }
  } catch (error) {
    say(installation.output.slice(-3000))
    keep = true
    throw error
  } finally {
    await story?.close()
    await installation.end()
    if (keep) say(`the installation is kept in ${installation.home}`)
    else installation.remove()
  }
}

/** So many jobs at once, as fast as they are taken; when this resolves they are acknowledged and most are on their way. */
async function burst(story: Story, jobs: number): Promise<void> {
  await Promise.all(Array.from({ length: jobs }, () => story.submit({ asks: false })))
}

/** What a client was told about and no worker has performed. */
function waiting(story: Story): number {
  const performed = new Set(story.performed().map(({ jobId }) => jobId))
  return story.journal.read().filter((entry) => entry.kind === 'job' && !entry.asks && !performed.has(entry.jobId))
    .length
}

/** Deletes the store, or turns over one bit of one of its files. Returns what was hit. */
function damage(store: string, how: Turn['how'], random: Random): string {
  const files = filesBelow(store).filter((file) => statSync(file).size > 0)
  if (files.length === 0) throw new Error(`there is no JetStream store in ${store}`)
  if (how === 'deleted') {
    rmSync(store, { recursive: true, force: true })
    return `${files.length} files`
  }
  const file = random.of(files)
  const at = random.whole(0, statSync(file).size - 1)
  const handle = openSync(file, 'r+')
  const byte = Buffer.alloc(1)
  readSync(handle, byte, 0, 1, at)
  byte[0] = (byte[0] ?? 0) ^ (1 << random.whole(0, 7))
  writeSync(handle, byte, 0, 1, at)
  fsyncSync(handle)
  closeSync(handle)
  return `${file.slice(store.length + 1).replace(/A[A-Z0-9]{20,}/, 'account')} at ${at}`
}

const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()

/** The report as Markdown, for docs/reliability.md. */
export function damageReport({ seed, seconds, turns, findings }: DamageReport): string {
  const of = (how: Turn['how']): Turn[] => turns.filter((turn) => turn.how === how)
  const up = turns.map(({ upMs }) => upMs)
  const undelivered = turns.map((turn) => turn.undelivered)
  return [
    `Seed ${seed}: ${turns.length} times in ${seconds} s (deleted ${of('deleted').length}, a byte flipped ${of('flipped').length}), with ` +
      `${undelivered.reduce((sum, each) => sum + each, 0)} undelivered jobs in all (at most ${Math.max(...undelivered)} at once).`,
    `${findings.jobs} jobs were acknowledged, ${findings.held} of them held; ${findings.commands} commands; ${findings.changes} changes; ${findings.artifacts} artifacts.`,
    '',
    `- violations: ${findings.violations.length}`,
    ...findings.violations.slice(0, 50).map((each) => `  - ${each.slice(0, 400)}`),
    `- jobs whose effect the worker performed more than once (its protocol is at least once): ${findings.repeatedJobs}`,
    `- the start afterwards took ${percentile(up, 0.5)} ms / ${percentile(up, 0.95)} ms (p50 / p95)`,
    `- files that were hit: ${[...new Set(of('flipped').map(({ file }) => file.replace(/ at \d+$/, '')))].join(', ')}`,
  ].join('\n')
}
