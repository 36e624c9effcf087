import { readConnection, until } from '../tests/server-process.ts'
import type { Installation } from './installation.ts'
import { readLines } from './journal.ts'
import { chainFaults, Ledger } from './ledger.ts'
import { DELAY_MS, type Entry, FAN, type Performed, type Story } from './story.ts'

/** What was held against the stored truth, in numbers, and what did not hold. */
export interface Findings {
  jobs: number
  held: number
  commands: number
  /** Commands that ended as failed or lost although nothing was wrong with them, by reason: the price of running at most once. */
  commandsGivenUp: Record<string, number>
  /** Jobs of which a worker performed the effect more than once, as its protocol allows. */
  repeatedJobs: number
  changes: number
  artifacts: number
  /** Runs of the workflow; each has ended well, with each of its children done once. */
  runs: number
  /** Jobs that only time could end, and delays of runs, and by how much later than their time, or than the recovery that followed it, each ended. */
  timersMs: number[]
  auditRows: number
  eventRows: number
  violations: string[]
}

/** The agent samples every 15 s. */
const TELEMETRY_S = 40

interface JobRow {
  id: string
  state: string
  attempts: number
  error_code: string | null
  approval_id: string | null
  queue: string | null
}

const of = <K extends Entry['kind']>(entries: readonly Entry[], kind: K): Extract<Entry, { kind: K }>[] =>
  entries.filter((entry): entry is Extract<Entry, { kind: K }> => entry.kind === kind)

/** Waits until every job has ended, at most `withinMs`, then holds everything that the client was told against what is stored. */
export async function check(
  installation: Installation,
  story: Story,
  withinMs = 90_000,
  /** Known: what only time could end is held to its time. */
  outages?: readonly Outage[],
): Promise<Findings> {
  const violations: string[] = []
  const ledger = await Ledger.open(installation.dataDir)
  try {
    const isOver = async (): Promise<boolean> =>
      (await ledger.count('job_queue')) === 0 && (await ledger.count(`runs where completed_at is null`)) === 0
    await until('all jobs and runs have ended', isOver, withinMs).catch(() => undefined)
    const stuck = await ledger.rows<{ id: string; pool: string; state: string; fence: string }>(
      'select id, pool, state, fence from job_queue',
    )
    for (const { id, pool, state, fence } of stuck)
      violations.push(`job ${id} (${pool}) has not ended: ${state}, claimed ${fence} times`)
    await until('all is sealed', async () => (await ledger.count('outbox')) === 0, 10_000).catch(() =>
      violations.push('the outbox is not empty'),
    )
    const entries = story.journal.read()
    violations.push(...of(entries, 'anomaly').map(({ what }) => what))
    for (const { pointer, content } of of(entries, 'artifact')) {
      if ((await story.contentOf(pointer)) !== content)
        violations.push(`artifact ${pointer} was acknowledged and is not what was sent`)
    }
    const effects = story.performed()
    const jobs = await checkJobs(ledger, effects, entries, violations)
    const commands = await checkCommands(ledger, story, entries, violations)
    const changes = await checkChanges(ledger, entries, violations)
    const runs = await checkRuns(ledger, effects, entries, violations)
    const timersMs = await checkTimers(ledger, entries, outages, violations)
    const audit = await chainFaults(ledger, 'audit')
    const events = await chainFaults(ledger, 'events')
    violations.push(...audit.faults, ...events.faults)
    const twice = await ledger.rows<{ resource_id: string; type: string }>(
      `select resource_id, type from events where resource_kind = 'job' and type ~ '[.](succeeded|failed|denied|cancelled|timed_out)$'
        group by tenant_id, resource_id, type having count(*) > 1`,
    )
    violations.push(...twice.map(({ resource_id: id, type }) => `job ${id} ended twice: ${type}`))
    const samples = await ledger.rows<{ age: number }>(
      'select extract(epoch from clock_timestamp() - max(at))::float8 as age from metrics',
    )
    if (!(Number(samples[0]?.age ?? Infinity) < TELEMETRY_S))
      violations.push(`the last sample of the host is ${samples[0]?.age} s old`)
    const { tenant, admin } = readConnection(installation.dataDir)
    if (
      JSON.stringify({ tenant, admin }) !==
      JSON.stringify({ tenant: story.firstConnection.tenant, admin: story.firstConnection.admin })
    )
      violations.push('connection.json names another tenant, user or key than at first')
    return {
      ...jobs,
      ...commands,
      changes,
      artifacts: of(entries, 'artifact').length,
      runs,
      timersMs,
      auditRows: audit.rows,
      eventRows: events.rows,
      violations,
    }
  } finally {
    await ledger.close()
  }
}

/** From a kill until the installation served again, on this machine's clock. */
export interface Outage {
  from: number
  until: number
}

/** A timer that came due while something was dead fires this long after the recovery at most. */
const TIMER_MS = 5_000

async function checkTimers(
  ledger: Ledger,
  entries: readonly Entry[],
  outages: readonly Outage[] | undefined,
  violations: string[],
): Promise<number[]> {
  const told = of(entries, 'timer')
  const rows = await ledger.rows<{ id: string; state: string; deadline: Date | null; ended_at: Date | null }>(
    `select id, state, deadline, ended_at from jobs where topic = 'job.campaign.void'`,
  )
  const byId = new Map(rows.map((row) => [row.id, row]))
  const delays = await ledger.rows<{ run_id: string; started_at: Date; completed_at: Date | null }>(
    `select run_id, started_at, completed_at from run_steps where key = 'wait' and started_at is not null`,
  )
  const lateness = (what: string, wanted: number, ended: number): number => {
    // It may fire once the installation serves again; what dies anew before it could have fired begins the wait again.
    let due = wanted
    for (const { from, until: back } of outages ?? []) if (from <= due + TIMER_MS && due < back) due = back
    const late = Math.max(0, ended - due)
    if (outages && late > TIMER_MS) violations.push(`${what} fired ${late} ms after it could`)
    return late
  }
  const waited = delays.flatMap(({ run_id: run, started_at: from, completed_at: end }) =>
    end ? [lateness(`the delay of run ${run}`, from.getTime() + DELAY_MS, end.getTime())] : [],
  )
  const ended = told.flatMap(({ key, jobId }) => {
    const row = byId.get(jobId)
    if (!row?.ended_at || !row.deadline) {
      violations.push(`timer ${key} (${jobId}) is ${row ? row.state : 'gone'}`)
      return []
    }
    if (row.state !== 'timed_out') violations.push(`timer ${key} (${jobId}) ended as ${row.state}, not by its time`)
    return [lateness(`timer ${key} (${jobId})`, row.deadline.getTime(), row.ended_at.getTime())]
  })
  return [...ended, ...waited]
}

async function checkRuns(
  ledger: Ledger,
  effects: readonly Performed[],
  entries: readonly Entry[],
  violations: string[],
) {
  const told = of(entries, 'run')
  const rows = await ledger.rows<{ id: string; status: string; steps: string; children: string }>(
    `select r.id, r.status, count(s.*) filter (where s.child_index is null and s.status = 'succeeded') as steps,
       count(s.*) filter (where s.child_index is not null and s.status = 'succeeded') as children
       from runs r left join run_steps s on s.tenant_id = r.tenant_id and s.run_id = r.id group by r.id, r.status`,
  )
  const byId = new Map(rows.map((row) => [row.id, row]))
  /** By run and child: the jobs that a worker performed for it. */
  const performed = new Map<string, Set<string>>()
  for (const { jobId } of effects) {
    const child = /^(.+:fan\[\d+\])@\d+$/.exec(jobId)?.[1]
    if (child) performed.set(child, (performed.get(child) ?? new Set()).add(jobId))
  }
  const ids = new Set<string>()
  for (const { key, runId } of told) {
    const row = byId.get(runId)
    if (ids.has(runId)) violations.push(`run ${runId} answers to two keys, one of them ${key}`)
    ids.add(runId)
    if (!row) {
      violations.push(`run ${runId} (${key}) was acknowledged and is gone`)
      continue
    }
    if (row.status !== 'succeeded' || Number(row.steps) !== 3 || Number(row.children) !== FAN)
      violations.push(
        `run ${runId} (${key}) is ${row.status} with ${row.steps} steps and ${row.children} children done`,
      )
    for (let child = 0; child < FAN; child++) {
      const jobs = performed.get(`${runId}:fan[${child}]`)?.size ?? 0
      if (jobs !== 1) violations.push(`child ${child} of run ${runId} (${key}) was done by ${jobs} jobs`)
    }
  }
  // A start whose answer was lost is repeated under its key: more runs than keys would be doubles.
  if (rows.length > told.length) violations.push(`${rows.length} runs were made of ${told.length} keys`)
  return told.length
}

async function checkJobs(
  ledger: Ledger,
  performances: readonly Performed[],
  entries: readonly Entry[],
  violations: string[],
) {
  const rows = await ledger.rows<JobRow>(
    `select j.id, j.state, j.attempts, j.error_code, j.approval_id, q.state as queue from jobs j
       left join job_queue q on q.tenant_id = j.tenant_id and q.id = j.id where j.topic like 'job.campaign.%'`,
  )
  const byId = new Map(rows.map((row) => [row.id, row]))
  const effects = new Map<string, { attempt: number; at: number }[]>()
  for (const { jobId, attempt, at } of performances) {
    effects.set(jobId, [...(effects.get(jobId) ?? []), { attempt, at }])
  }
  const decisions = new Map(of(entries, 'decision').map((entry) => [entry.jobId, entry]))
  const told = of(entries, 'job')
  const ids = new Set<string>()
  for (const { key, jobId, asks } of told) {
    if (ids.has(jobId)) violations.push(`job ${jobId} answers to two keys, one of them ${key}`)
    ids.add(jobId)
    const row = byId.get(jobId)
    const decision = decisions.get(jobId)
    const performed = effects.get(jobId) ?? []
    if (!row) {
      violations.push(`job ${jobId} (${key}) was acknowledged and is gone`)
      continue
    }
    const rejected = asks && decision?.decision === 'reject'
    const wanted = rejected ? 'denied' : 'succeeded'
    if (row.state !== 'open' && row.state !== wanted)
      violations.push(`job ${jobId} (${key}) ended as ${row.state} (${row.error_code}), not ${wanted}`)
    if (row.state === 'succeeded' && performed.length === 0)
      violations.push(`job ${jobId} (${key}) succeeded and was never performed`)
    if (rejected && performed.length > 0) violations.push(`job ${jobId} (${key}) was rejected and performed`)
    if (asks && performed.some(({ at }) => at < (decision?.at ?? Infinity)))
      violations.push(`job ${jobId} (${key}) was performed before its approval`)
    if (row.attempts > 1) violations.push(`job ${jobId} (${key}) counts ${row.attempts} attempts of 1`)
    if (new Set(performed.map(({ attempt }) => attempt)).size < performed.length)
      violations.push(`job ${jobId} (${key}) was performed twice under one claim`)
  }
  const doubled = await ledger.rows<{ key: string }>(
    `select request -> 'meta' ->> 'idempotencyKey' as key from jobs
      where topic like 'job.campaign.%' and coalesce(request -> 'meta' ->> 'idempotencyKey', '') <> '' group by 1 having count(*) > 1`,
  )
  violations.push(...doubled.map(({ key }) => `the key ${key} made two jobs`))
  const unbound = await ledger.rows<{ id: string }>(
    `select j.id from jobs j left join approvals a on a.tenant_id = j.tenant_id and a.id = j.approval_id
      where j.topic = 'job.campaign.ask' and j.state = 'succeeded'
        and (a.state is distinct from 'approved' or a.ref_id <> j.id
          or not exists (select from decisions d where d.tenant_id = j.tenant_id and d.job_id = j.id and d.job_hash = a.hash))`,
  )
  violations.push(...unbound.map(({ id }) => `job ${id} ran without an approval that is bound to it`))
  const repeatedJobs = [...effects.values()].filter((each) => each.length > 1).length
  return { jobs: told.length, held: told.filter(({ asks }) => asks).length, repeatedJobs }
}

async function checkCommands(ledger: Ledger, story: Story, entries: readonly Entry[], violations: string[]) {
  const marks = new Map<string, number>()
  for (const key of readLines(story.commandEffects)) marks.set(key, (marks.get(key) ?? 0) + 1)
  const rows = await ledger.rows<{
    id: string
    key: string | null
    status: string
    exit_code: number | null
    error: string | null
    job: string | null
  }>(
    `select e.id, substring(array_to_string(e.args, ' ') from 'command-[0-9]+') as key, e.status, e.exit_code, e.error, j.state as job
       from command_executions e left join jobs j on j.tenant_id = e.tenant_id and j.id = e.job_id`,
  )
  const byKey = new Map<string, (typeof rows)[number][]>()
  for (const row of rows) if (row.key) byKey.set(row.key, [...(byKey.get(row.key) ?? []), row])
  for (const [key, count] of marks) {
    if (count > 1) violations.push(`${key} ran ${count} times`)
    if (!byKey.has(key)) violations.push(`${key} ran and nothing is recorded of it`)
  }
  for (const [key, found] of byKey) {
    if (found.length > 1) violations.push(`${key} is recorded ${found.length} times`)
    for (const { status, job } of found) {
      if (status === 'PENDING' || status === 'RUNNING') violations.push(`${key} is still ${status}, its job ${job}`)
      if (status === 'SUCCEEDED' && marks.get(key) !== 1)
        violations.push(`${key} is recorded as succeeded and left no mark`)
    }
  }
  for (const { key, status, exitCode } of of(entries, 'command')) {
    if (status < 300 && exitCode === 0 && byKey.get(key)?.[0]?.status !== 'SUCCEEDED')
      violations.push(`${key} was told to have succeeded and is recorded as ${byKey.get(key)?.[0]?.status}`)
  }
  const givenUp = [...byKey.values()].flat().filter(({ status }) => status !== 'SUCCEEDED')
  const commandsGivenUp: Record<string, number> = {}
  for (const { key, error, exit_code: exit } of givenUp) {
    const why = `${error ?? `exit code ${exit}`}, ${marks.has(key ?? '') ? 'after' : 'before'} its effect`
    commandsGivenUp[why] = (commandsGivenUp[why] ?? 0) + 1
  }
  return { commands: byKey.size, commandsGivenUp }
}

async function checkChanges(ledger: Ledger, entries: readonly Entry[], violations: string[]): Promise<number> {
  const told = of(entries, 'environment')
  const rows = await ledger.rows<{ id: string; name: string }>('select id, name from environments')
  const audited = await ledger.rows<{ resource_id: string; n: string }>(
    `select resource_id, count(*) as n from audit where verb = 'environment.create' and outcome = 'ok' group by 1`,
  )
  const names = new Map<string, number>()
  for (const { name } of rows) names.set(name, (names.get(name) ?? 0) + 1)
  const stored = new Set(rows.map(({ id }) => id))
  const trail = new Map(audited.map(({ resource_id: id, n }) => [id, Number(n)]))
  for (const { key, id } of told) {
    if (!stored.has(id)) violations.push(`environment ${key} was acknowledged and is gone`)
    if (names.get(key) !== 1) violations.push(`environment ${key} is there ${names.get(key)} times`)
    if (trail.get(id) !== 1) violations.push(`environment ${key} stands in the trail ${trail.get(id) ?? 0} times`)
  }
  return told.length
}
