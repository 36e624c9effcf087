import { Fault, type FaultCode, faults } from '@wheelhouse/contract'
import { type Connection, HealthReport, type HealthStatus } from '@wheelhouse/contract/release/targets'
import { Type } from 'typebox'
import { type Agent, findAgent } from '../../kernel/agents/index.ts'
import { iso, isoOrNull, pause } from '../../kernel/clock/index.ts'
import type { Tx } from '../../kernel/db/index.ts'
import { publish } from '../../kernel/events/index.ts'
import type { Principal } from '../../kernel/identity/index.ts'
import type { Ended, Run, Settled, Verb } from '../../kernel/jobs/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { requireAccess } from '../access.ts'
import { getEnvironment } from '../environments/tables.ts'
import { probeByAgent } from './agent-probe.ts'
import { agentFor } from './binding.ts'
import { withSecrets } from './connection.ts'
import {
  type Check,
  isLocalDocker,
  type Probe,
  probeDocker,
  probeMemory,
  probeNomad,
  probeService,
  probeSsh,
  probeWinrm,
  shownChecks,
  statusOf,
} from './probe.ts'
import { openConnection } from './service.ts'
import { getTarget, noteHealth, type TargetRow } from './tables.ts'

const Input = Type.Object({
  targetId: Type.String({ pattern: '^[0-9a-f-]{36}$' }),
  timeoutMs: Type.Integer({ minimum: 1000, maximum: 300_000 }),
})

/** What the job needs beyond the probe's own time: to start, and to write down what was found. */
const SLACK_MS = 5000

export type HealthVerb = Verb<typeof Input, typeof HealthReport>

/** Looks at a target now (release.md §6.3). It changes nothing there; what it finds is written to the target. */
export const healthVerb = (kernel: Kernel): HealthVerb => ({
  name: 'target:execute',
  topic: 'job.wh.release.target.check',
  input: Input,
  output: HealthReport,
  risk: ['read', 'network'],
  timeoutMs: 30_000 + SLACK_MS,
  maxAttempts: 1,

  async facts(tx, { targetId }) {
    const row = await getTarget(tx, targetId)
    const environment = await getEnvironment(tx, row.environmentId)
    return {
      'target.id': row.id,
      'target.name': row.name,
      'target.type': row.type,
      'environment.name': environment.name,
      'environment.production': environment.isProduction,
      ...Object.fromEntries(Object.entries(row.labels).map(([key, value]) => [`target.labels.${key}`, value])),
    }
  },

  async perform(run) {
    const startedAt = performance.now()
    const { row, agent, needsAgent } = await prepare(kernel, run)
    const { checks, isBlind } = await look(kernel, run, row, agent, needsAgent)
    return {
      targetId: row.id,
      status: isBlind ? 'unknown' : statusOf(checks),
      checkedAt: iso(kernel.clock.now()),
      latencyMs: Math.round(performance.now() - startedAt),
      checks: shownChecks(checks),
      ...(agent ? { agent: { id: agent.id, status: AGENT_STATUS[agent.liveness] } } : {}),
    }
  },

  async settle(tx, jobId, { targetId }, end) {
    if (end.kind !== 'succeeded') return
    const { status, checkedAt, checks } = end.output
    const message = checks.filter(({ ok }) => !ok).map(({ name, message: why }) => `${name}: ${why ?? 'failed'}`)
    const found = { status, checkedAt: Date.parse(checkedAt ?? ''), message: message.join('; ').slice(0, 1000) || null }
    const changed = await noteHealth(tx, targetId, found)
    if (changed) await publishChange(tx, jobId, targetId, changed, status, found.checkedAt)
  },
})

/** Kernel's words of liveness in those of release.md §6.4. */
export const AGENT_STATUS = { online: 'online', late: 'degraded', lost: 'offline' } as const

async function prepare({ db, vault }: Kernel, { tenantId, principal, input }: Run<{ targetId: string }>) {
  return db.tenant(tenantId, async (tx) => {
    const row = await getTarget(tx, input.targetId)
    const environment = await getEnvironment(tx, row.environmentId)
    // Also for those who came through another door than ours.
    requireAccess(principal, 'target:execute', environment)
    const needsAgent = isAgentRun(row)
    const agent = needsAgent
      ? await agentFor(tx, row, environment.config.agentLabels)
      : row.agentId === null
        ? undefined
        : await findAgent(tx, row.agentId)
    return { row: { ...row, connection: withSecrets(openConnection(vault, row)) }, agent, needsAgent }
  })
}

/** Docker and compose are an agent's work, unless the engine listens on the network; so is what needs a cloud's credentials. */
function isAgentRun({ type, connection, agentId }: TargetRow): boolean {
  if (type === 'docker_host')
    return agentId !== null || isLocalDocker((connection as Connection<'docker_host'>).endpoint)
  return type === 'compose_host' || type === 'ecs_service'
}

async function look(
  { egress, agents }: Kernel,
  run: Run<{ targetId: string; timeoutMs: number }>,
  row: TargetRow,
  agent: Agent | undefined,
  needsAgent: boolean,
): Promise<{ checks: Check[]; isBlind: boolean }> {
  const { timeoutMs } = run.input
  const probe: Probe = { egress, timeoutMs, signal: run.signal }
  if (needsAgent && agent)
    return probeByAgent(agents, agent, row, { taskId: run.jobId, attempt: run.attempt, timeoutMs, signal: run.signal })
  const checks = await direct(probe, row, run.signal)
  const host = hostOf(row)
  if (row.healthCheck && host !== undefined && checks.every(({ ok }) => ok))
    checks.push(...(await probeService(probe, host, row.healthCheck)))
  return { checks, isBlind: false }
}

function direct(probe: Probe, { type, connection, labels }: TargetRow, signal: AbortSignal): Promise<Check[]> {
  switch (type) {
    case 'docker_host':
      return probeDocker(probe, connection as Connection<'docker_host'>)
    case 'nomad_job':
      return probeNomad(probe, connection as Connection<'nomad_job'>)
    case 'ssh_host':
      return probeSsh(probe, connection as Connection<'ssh_host'>)
    case 'winrm_host':
      return probeWinrm(probe, connection as Connection<'winrm_host'>)
    case 'memory':
      return probeMemory(labels, (ms) => pause(Math.min(ms, probe.timeoutMs), signal))
    case 'compose_host':
    case 'ecs_service':
      return Promise.resolve([])
  }
}

/** The machine of a target, where its connection names one. */
function hostOf({ type, connection }: TargetRow): string | undefined {
  if (type === 'ssh_host' || type === 'winrm_host') return (connection as Connection<'ssh_host'>).host
  const address = (connection as { endpoint?: string; address?: string }).endpoint
  if (type !== 'docker_host' || address === undefined || isLocalDocker(address)) return undefined
  const url = address.replace(/^tcp:/, 'http:')
  return URL.canParse(url) ? new URL(url).hostname.replace(/^\[|\]$/g, '') : undefined
}

const publishChange = (
  tx: Tx,
  jobId: string,
  id: string,
  { before, name, environmentId }: { before: HealthStatus; name: string; environmentId: string },
  status: HealthStatus,
  at: number,
): Promise<string> =>
  publish(tx, {
    type: 'target.health_changed',
    resource: { kind: 'target', id },
    actor: { kind: 'system', id: jobId, name: 'health check', onBehalfOf: [] },
    data: { name, environmentId, from: before, to: status, jobId },
    at,
  })

/**
 * Runs the check as a governed job and waits for it (decisions D5). Throws AGT_OFFLINE where nobody can look. Held for an approval, or
 * longer than its time: the report as it last was, with the job's id.
 */
export async function checkHealth(
  kernel: Kernel,
  verb: HealthVerb,
  principal: Principal,
  targetId: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<{ report: HealthReport; settled: Settled<HealthReport>; environmentId: string }> {
  const row = await kernel.db.tenant(principal.tenantId, async (tx) => {
    const found = await getTarget(tx, targetId)
    const environment = await getEnvironment(tx, found.environmentId)
    requireAccess(principal, 'target:execute', environment)
    if (isAgentRun(found)) await agentFor(tx, found, environment.config.agentLabels)
    return found
  })
  const settled = await kernel.jobs.submitAndWait(
    principal,
    verb,
    { targetId, timeoutMs },
    { waitMs: timeoutMs + 2 * SLACK_MS, timeoutMs: timeoutMs + SLACK_MS, signal },
  )
  const { environmentId } = row
  if (settled.state === 'ended') return { report: reportOf(settled.end), settled, environmentId }
  const report: HealthReport = {
    targetId,
    status: row.healthStatus,
    checkedAt: isoOrNull(row.lastHealthCheck),
    latencyMs: null,
    checks: [],
  }
  return { report, settled, environmentId }
}

const isFaultCode = (code: string): code is FaultCode => Object.hasOwn(faults, code)

function reportOf(end: Ended<HealthReport>): HealthReport {
  if (end.kind === 'succeeded') return end.output
  if (end.kind === 'denied') throw new Fault('POLICY_DENIED', undefined, { message: end.message })
  if (end.kind === 'timed_out') throw new Fault('SYS_TIMEOUT', undefined, { message: end.message })
  throw new Fault(isFaultCode(end.code) ? end.code : 'SYS_INTERNAL', undefined, { message: end.message })
}
