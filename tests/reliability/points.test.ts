import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { check } from '../../campaigns/checks.ts'
import { Installation } from '../../campaigns/installation.ts'
import { readLines } from '../../campaigns/journal.ts'
import { Ledger } from '../../campaigns/ledger.ts'
import { Story } from '../../campaigns/story.ts'
import { CRASH_POINTS as AGENT_POINTS } from '../../apps/agent/src/crash.ts'
import { CRASH_POINTS as SERVER_POINTS } from '../../apps/server/src/kernel/crash/index.ts'
import { until } from '../server-process.ts'

/**
 * Points of the first start. Each start goes as far as its point and the next one takes up what it left; a file that is not in its
 * place is written again, so that the same number means the next file.
 */
const FIRST_START = [
  'file:before-rename',
  'file:before-rename#2',
  'file:before-rename#3',
  'migrate:before-commit',
  'migrate:after-commit#2',
  'migrate:before-commit#3',
  'file:before-rename#2',
  'start:after-tenant',
  'start:after-connection',
  'start:after-enrolment',
]

/** Points of the work, at which the server kills itself. Those of runs are walked by apps/server/src/jobs/runs/recovery.test.ts. */
const WORK = SERVER_POINTS.filter((point) => !/^(file|migrate|start|run):/.test(point))

/** The same server lives through these: what it stands on dies under it at its own points. */
const BENEATH = [
  'submit:before-commit@postgres',
  'claim:after-commit@nats',
  'seal:before-commit@postgres',
  'dispatch:after-publish@nats',
  'verb:before-perform@agent',
  'end:before-commit@postgres',
  'ack:before-send@agent',
  'request:before-commit@postgres',
  'end:after-commit@nats',
  'verb:after-perform@postgres',
]

let installation: Installation
let story: Story

beforeAll(async () => {
  installation = await Installation.make()
})
afterAll(async () => {
  await story?.close()
  await installation.end()
  installation.remove()
})

/** Starts with a crash point armed and waits until it was met. */
async function dieAt(point: string): Promise<void> {
  const server = installation.begin({ WHEELHOUSE_CRASH_POINT: point })
  installation.expectEnd()
  const end = await installation.ended(60_000).catch((error: unknown) => {
    throw new Error(`${point} was not met: ${String(error)}\n${server.output().slice(-2000)}`)
  })
  expect({ point, ...end }).toEqual({ point, code: null, signal: 'SIGKILL' })
  expect(server.output()).toContain(`killed at ${point}`)
}

const pace = { jobs: 30, commands: 120, changes: 120 }

describe('every named point', () => {
  test('of the first start is taken up by the next one, with one tenant, one administrator and one agent', async () => {
    for (const point of FIRST_START) await dieAt(point)
    expect(await installation.start()).toBe('up')
    story = new Story(installation, pace)
    await story.begin()
    const ledger = await Ledger.open(installation.dataDir)
    const count = (what: string) => ledger.count(what)
    expect([await count('tenants'), await count('users'), await count('agents'), await count('instances')]).toEqual([
      1, 1, 1, 1,
    ])
    await ledger.close()
  }, 120_000)

  test('of the work: a server that dies there is started again and nothing else is done', async () => {
    await installation.kill('server')
    for (const point of WORK) await dieAt(point)
    // Two more lives: one whose bus, database and agent die under it, and one whose agent dies at its own points.
    const server = installation.begin({ WHEELHOUSE_CRASH_POINT: BENEATH.join(',') })
    for (const point of BENEATH)
      await until(`${point} is met`, () => server.output().includes(`killed at ${point}\n`), 30_000)
    await installation.kill('server')
    installation.begin({ WHEELHOUSE_CRASH_POINT: AGENT_POINTS.join(',') })
    const met = join(installation.dataDir, 'agent', 'crash-points')
    await until('the agent met its points', () => readLines(met).length === AGENT_POINTS.length, 30_000)
    expect(new Set(readLines(met))).toEqual(new Set(AGENT_POINTS))
    await story.settle()
    const findings = await check(installation, story)
    expect(findings.violations).toEqual([])
    expect(installation.endedByItself).toEqual([])
    expect(findings.jobs).toBeGreaterThan(50)
  }, 180_000)

  test('the checks see what is tampered with', async () => {
    const told = story.journal.read()
    const job = told.find((entry) => entry.kind === 'job')
    const change = told.find((entry) => entry.kind === 'environment')
    const ran = told.find((entry) => entry.kind === 'command' && entry.exitCode === 0)
    const artifact = told.find((entry) => entry.kind === 'artifact')
    if (
      job?.kind !== 'job' ||
      change?.kind !== 'environment' ||
      ran?.kind !== 'command' ||
      artifact?.kind !== 'artifact'
    )
      throw new Error('the story is too short')
    const ledger = await Ledger.open(installation.dataDir)
    await ledger.rows('delete from jobs where id = $1', [job.jobId])
    await ledger.rows('delete from environments where id = $1', [change.id])
    await ledger.rows(`delete from artifacts where id::text = $1`, [artifact.pointer.replace('redis://art:', '')])
    await ledger.rows(`update audit set body = jsonb_set(body, '{verb}', '"nothing"') where seq = 3`)
    await ledger.close()
    appendFileSync(story.commandEffects, `${ran.key}\n`)
    const { violations } = await check(installation, story, 1_000)
    expect(violations).toEqual(
      expect.arrayContaining([
        `job ${job.jobId} (${job.key}) was acknowledged and is gone`,
        `environment ${change.key} was acknowledged and is gone`,
        `artifact ${artifact.pointer} was acknowledged and is not what was sent`,
        expect.stringMatching(/^audit .* 3: the hash is wrong$/),
        `${ran.key} ran 2 times`,
      ]),
    )
    await installation.stop()
  })

  test('a point that does not exist is refused', async () => {
    const server = installation.begin({ WHEELHOUSE_CRASH_POINT: 'submit:never' })
    expect((await installation.ended()).code).not.toBe(0)
    expect(server.output()).toContain('there is no crash point submit:never')
  })

  test('stands in docs/reliability.md', () => {
    const text = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'reliability.md'), 'utf8')
    expect([...SERVER_POINTS, ...AGENT_POINTS].filter((point) => !text.includes(`\`${point}\``))).toEqual([])
  })
})
