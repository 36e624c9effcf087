// `npm run demo`: what Wheelhouse is, told in the terminal on a running installation. It ends with 0 only when all of it happened.
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { styleText } from 'node:util'
import { contract } from '@wheelhouse/contract'
import type { EndEvent, OutputEvent, StateEvent } from '@wheelhouse/contract/native/job-output'
import { ApiError, type Client, createClient } from '@wheelhouse/sdk'
import { findGround, startAgent, until } from './demo-ground.ts'

const HOST = 'demo-production'

const say = (line = ''): void => console.log(line)
const title = (text: string): void => say(`\n${styleText('bold', text)}`)
const shown = (text: string): void => say(styleText('dim', `    ${text}`))
const done = (text: string): void => say(`  ${styleText('green', '✓')} ${text}`)

/** A step of the story that did not go as it is told. */
function expected(holds: unknown, what: string): asserts holds {
  if (!holds) throw new Error(what)
}

async function findHost(client: Client): Promise<string> {
  title('1. The machine that this runs on is in the fleet')
  const host = await until('a machine with a live agent', 30_000, async () => {
    const { items } = await client.fleet.instances.listInstances({ query: { status: 'RUNNING', search: hostname() } })
    return items.find(({ id, lastHeartbeat }) => lastHeartbeat && id === hostname())
  })
  const beat = host.lastHeartbeat
  expected(beat, 'the machine has no heartbeat')
  const percent = (used: string, total: string) => `${((Number(used) / Number(total)) * 100).toFixed(0)}%`
  shown(`${host.name}  ${[host.distro ?? host.os, host.arch].filter(Boolean).join(' ')}  agent ${host.agentVersion}`)
  shown(
    `cpu ${beat.cpuPercent.toFixed(0)}%  memory ${percent(beat.memoryUsedBytes, beat.memoryTotalBytes)}  disk ${percent(beat.diskUsedBytes, beat.diskTotalBytes)}`,
  )
  done(`${host.name} is ${host.status}, last heard of at ${beat.timestamp}`)
  return host.id
}

interface Watched {
  text: string
  /** When each chunk came, in milliseconds since the first look. */
  times: number[]
  states: string[]
  end: EndEvent | undefined
}

/** Follows a job and shows its output as it comes. Ends with the job, or when `enough` says so. */
async function watch(client: Client, jobId: string, enough?: (state: StateEvent) => boolean): Promise<Watched> {
  const watched: Watched = { text: '', times: [], states: [], end: undefined }
  const since = Date.now()
  const signal = AbortSignal.timeout(60_000)
  for await (const { event, data } of client.events(`/wheelhouse/api/v1/jobs/${jobId}/output`, { signal })) {
    if (event === 'stdout' || event === 'stderr') {
      const { chunk } = JSON.parse(data) as OutputEvent
      watched.times.push(Date.now() - since)
      watched.text += chunk
      for (const line of chunk.trimEnd().split('\n')) shown(line)
    } else if (event === 'state') {
      const state = JSON.parse(data) as StateEvent
      watched.states.push(state.state)
      if (enough?.(state)) return watched
    } else if (event === 'end') {
      watched.end = JSON.parse(data) as EndEvent
      return watched
    }
  }
  throw new Error(`job ${jobId} did not end within a minute`)
}

/** Repeats what the server's budget for commands (ten a minute) has put off. */
async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 429) throw error
    const waitMs = error.retryAfterMs ?? 60_000
    shown(`the budget of this minute is used up; waiting ${Math.ceil(waitMs / 1000)} s`)
    await pause(waitMs)
    return ask()
  }
}

const run = (client: Client, instanceId: string, command: string) =>
  patiently(() =>
    client.fleet.commands.executeCommand({ query: { wait: 0 }, body: { instanceId, command, timeoutMs: 30_000 } }),
  )

async function streamCommand(client: Client, host: string): Promise<void> {
  title('2. A command runs there, and its output is seen while it runs')
  const command = 'for n in 1 2 3 4; do echo "line $n of a command on $(hostname)"; sleep 0.4; done'
  say(`  $ wheelhouse exec ${host} '${command}'`)
  const { jobId, approvalRequired } = await run(client, host, command)
  expected(
    jobId && !approvalRequired,
    'the command waits for an approval: the policy here asks for one on this machine',
  )
  const { text, times, end } = await watch(client, jobId)
  expected(end?.state === 'SUCCEEDED', `the command ended as ${end?.state}: ${end?.message}`)
  expected(text.split('\n').filter(Boolean).length === 4, `the output is not whole: ${text}`)
  const spread = (times.at(-1) ?? 0) - (times[0] ?? 0)
  expected(times.length > 1 && spread > 500, `the output came at once, after ${spread} ms`)
  done(
    `four lines over ${(spread / 1000).toFixed(1)} s, exit code ${(end.output as { exitCode: number }).exitCode}; policy allowed it before it ran`,
  )
}

async function denyCommand(client: Client, host: string): Promise<void> {
  title('3. A command that would destroy the machine is refused before it reaches it')
  // With --help behind it nothing would happen even where no policy stood before it.
  const command = 'rm -rf / --help'
  say(`  $ wheelhouse exec ${host} '${command}'`)
  const refusal = await run(client, host, command).then(
    () => undefined,
    (error: unknown) => error,
  )
  expected(refusal instanceof ApiError && refusal.status === 403, `it was not refused: ${String(refusal)}`)
  const { jobId, rule } = refusal.body as { jobId: string; rule: string }
  shown(`rule  ${rule}`)
  shown(`why   ${refusal.message}`)
  const job = await client.jobs.jobs.getJob({ params: { id: jobId } })
  expected(job.state === 'DENIED', `its job is ${job.state}`)
  for (const remedy of job.safety_remediations ?? []) shown(`instead  ${remedy.title}: ${remedy.summary}`)
  done(`denied by rule ${rule}; the refusal is a record of its own: job ${jobId}`)
}

async function approveCommand(admin: Client, url: string): Promise<void> {
  title('4. A command on a production machine waits for a second person')
  const invitation = await admin.native.join.createToken({ body: { name: HOST, labels: { env: 'production' } } })
  const joined = await createClient(contract, { url }).native.join.join({ body: { token: invitation.token } })
  const agent = startAgent(url, joined.name, joined.token)
  const password = `Demo-${randomBytes(12).toString('base64url')}1!`
  const username = `demo-approver-${randomBytes(3).toString('hex')}`
  const user = await admin.jobs.users.createUser({ body: { username, password, role: 'approver' } })
  try {
    shown(`a second agent joins this host with a one-time token, as ${joined.name} with the label env=production`)
    await until('the second agent is connected', 30_000, async () => {
      const { items } = await admin.fleet.instances.listInstances({ query: { search: joined.name } })
      return items.find(({ status, lastHeartbeat }) => status === 'RUNNING' && lastHeartbeat)
    })
    await decideCommand(admin, url, joined.name, { username, password })
  } finally {
    await agent.close()
    await patiently(() => admin.fleet.instances.deleteInstance({ params: { id: joined.name }, body: {} })).catch(
      () => undefined,
    )
    await admin.jobs.users.deleteUser({ params: { id: user.id } })
  }
}

async function decideCommand(
  admin: Client,
  url: string,
  host: string,
  login: { username: string; password: string },
): Promise<void> {
  say(`  $ wheelhouse exec ${host} uptime`)
  const started = await run(admin, host, 'uptime')
  const { jobId } = started
  expected(jobId && started.approvalRequired, 'it did not wait for approval')
  const waiting = await admin.jobs.approvals.listApprovals({ query: {} })
  const item = waiting.items.find(({ job_id: id }) => id === jobId)
  expected(item, 'it does not stand in the inbox')
  shown(`held by rule ${item.policy_rule_id}: ${item.policy_reason}`)
  shown(`bound to exactly this: ${JSON.stringify(item.show)}`.slice(0, 200))

  const own = await admin.jobs.approvals.approveJob({ params: { job_id: jobId }, body: {} }).then(
    () => undefined,
    (error: unknown) => error,
  )
  expected(own instanceof ApiError && own.status === 403, 'who asked could approve')
  shown(`who asked cannot approve: ${own.message}`)

  const session = await createClient(contract, { url }).jobs.auth.login({ body: login })
  const approver = createClient(contract, { url, token: () => session.token })
  const running = watch(admin, jobId)
  await approver.jobs.approvals.approveJob({ params: { job_id: jobId }, body: { reason: 'seen in the demo' } })
  shown(`${login.username} approves it`)
  const { end, text } = await running
  expected(end?.state === 'SUCCEEDED', `it ended as ${end?.state}: ${end?.message}`)
  expected(text.includes('load average'), `its output is not that of uptime: ${text}`)
  done('approved by a second person, checked again at dispatch, and run')
}

async function proveTrail(client: Client, since: string): Promise<void> {
  title('5. All of it stands in a trail that proves itself')
  const { items } = await client.fleet.audit.listAudit({ query: { from: since, pageSize: 50 } })
  for (const { timestamp, action, resource, resourceId, userName, userEmail } of items.slice(0, 8))
    shown(
      `${timestamp}  ${(userName ?? userEmail ?? '').padEnd(26).slice(0, 26)}  ${action.padEnd(8)} ${resource} ${resourceId ?? ''}`,
    )
  expected(
    items.some(({ action }) => action === 'EXECUTE'),
    'the commands are not in the trail',
  )
  const proof = await client.native.trail.verify({ body: {} })
  expected(proof.intact, `the chain is broken at row ${proof.broken?.seq}`)
  done(`${proof.rows} rows, one hash chain from the first to the last, intact; signed up to row ${proof.signedTo}`)
}

async function tell(): Promise<void> {
  const ground = await findGround(say)
  try {
    say(`Wheelhouse at ${ground.url}`)
    const client = createClient(contract, { url: ground.url, token: () => ground.apiKey })
    const since = new Date(Date.now() - 1000).toISOString()
    const host = await findHost(client)
    await streamCommand(client, host)
    await denyCommand(client, host)
    await approveCommand(client, ground.url)
    await proveTrail(client, since)
    say(
      `\nThat is all of it.${ground.isOwn ? ' `npm start` begins an installation that stays.' : ' The console shows the same: Jobs, Inbox, Activity.'}`,
    )
  } finally {
    await ground.close()
  }
}

try {
  await tell()
} catch (error) {
  console.error(`\n  ${styleText('red', '✗')} ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
