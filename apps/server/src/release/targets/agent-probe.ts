import { Fault } from '@wheelhouse/contract'
import type { Connection } from '@wheelhouse/contract/release/targets'
import type { Agent, Agents } from '../../kernel/agents/index.ts'
import type { Check } from './probe.ts'
import type { TargetRow } from './tables.ts'

interface Look {
  name: string
  command: string
  args: string[]
  cwd?: string
  /** Whether what was said means that all is well; default: it said so by its exit code. */
  accepts?(said: string): boolean
}

const DEFAULT_SOCKET = 'unix:///var/run/docker.sock'

/** What an agent runs to look at a place on its machine, or at one that it alone holds the credentials for. */
function lookAt(row: TargetRow): Look | undefined {
  switch (row.type) {
    case 'docker_host': {
      const { endpoint } = row.connection as Connection<'docker_host'>
      const host = endpoint === DEFAULT_SOCKET ? [] : ['-H', endpoint]
      return { name: 'docker', command: 'docker', args: [...host, 'version', '--format', '{{.Server.Version}}'] }
    }
    case 'compose_host': {
      const { projectDirectory, projectName } = row.connection as Connection<'compose_host'>
      const project = projectName === undefined ? [] : ['--project-name', projectName]
      return {
        name: 'compose',
        command: 'docker',
        args: ['compose', ...project, 'ls', '--quiet'],
        cwd: projectDirectory,
      }
    }
    case 'ecs_service': {
      const { region, cluster, service } = row.connection as Connection<'ecs_service'>
      const query = ['--query', 'services[0].status', '--output', 'text']
      return {
        name: 'service',
        command: 'aws',
        args: ['ecs', 'describe-services', '--region', region, '--cluster', cluster, '--services', service, ...query],
        accepts: (said) => said.trim() === 'ACTIVE',
      }
    }
    default:
      return undefined
  }
}

/**
 * Has an agent look at a target. An agent that is late degrades it. One that cannot run commands only tells that it is there:
 * then nothing is known of the place itself.
 */
export async function probeByAgent(
  agents: Agents,
  agent: Agent,
  row: TargetRow,
  run: { taskId: string; attempt: number; timeoutMs: number; signal: AbortSignal },
): Promise<{ checks: Check[]; isBlind: boolean }> {
  const presence: Check = {
    name: 'agent',
    ok: agent.liveness === 'online',
    ...(agent.liveness === 'online' ? {} : { message: 'its heartbeats are late' }),
  }
  const look = lookAt(row)
  if (!look || !agent.capabilities.includes('exec')) return { checks: [presence], isBlind: true }
  return { checks: [presence, await runLook(agents, agent, look, run)], isBlind: false }
}

async function runLook(
  agents: Agents,
  agent: Agent,
  { name, command, args, cwd, accepts }: Look,
  run: { taskId: string; attempt: number; timeoutMs: number; signal: AbortSignal },
): Promise<Check> {
  let said = ''
  const failed = (message: string): Check => ({ name, ok: false, vital: true, message: message.trim().slice(0, 500) })
  try {
    const result = await agents.exec({
      ...run,
      tenantId: agent.tenantId,
      agentId: agent.id,
      command,
      args,
      ...(cwd === undefined ? {} : { cwd }),
      maxOutputBytes: 16_384,
      onOutput: (_stream, data) => (said += said.length < 4096 ? data.toString('utf8') : ''),
    })
    agents.settled(agent.id, run.taskId, run.attempt)
    if (result.error) return failed(result.error.message)
    if (result.timedOut) return failed(`${command} did not end in time`)
    const ok = result.exitCode === 0 && (accepts?.(said) ?? true)
    return ok
      ? { name, ok, message: said.trim().slice(0, 200) }
      : failed(said || `${command} ended with ${result.exitCode}`)
  } catch (error) {
    if (error instanceof Fault && error.code !== 'SYS_INTERNAL') return failed(error.message)
    throw error
  }
}
