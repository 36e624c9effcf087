import { type AgentMessage, decodeAgentMessage, encodeMessage, ProtocolError } from '@wheelhouse/sdk/agent-protocol'
import { iso } from '../clock/index.ts'

type Json = Record<string, unknown>

/**
 * The message in a frame from an agent, in either dialect (fleet.md 3.6 and 3.16). `instanceId` stands in for the one that the native
 * envelope may lack. Throws ProtocolError.
 */
export function readAgentFrame(frame: string, now: number, instanceId?: string): AgentMessage {
  try {
    return decodeAgentMessage(frame)
  } catch (error) {
    const native =
      error instanceof ProtocolError && error.code !== 'PARSE_ERROR' ? (JSON.parse(frame) as Json) : undefined
    const translated = native && isNative(native) ? translate(native, now, instanceId) : undefined
    if (!translated) throw error
    // Through the same door, so that what is checked for one dialect is checked for the other.
    return decodeAgentMessage(encodeMessage(translated as unknown as AgentMessage))
  }
}

const isNative = (frame: Json): boolean => typeof frame['channel'] === 'string' && isObject(frame['data'])

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)

function translate(
  frame: Json,
  now: number,
  hint: string | undefined,
): { type: string; session_id?: string; payload: Json } | undefined {
  const data = frame['data'] as Json
  const instance_id = typeof frame['instanceId'] === 'string' ? frame['instanceId'] : (hint ?? '')
  const timestamp = iso(typeof frame['ts'] === 'number' ? frame['ts'] : now)
  const session = { session_id: data['sessionId'] as string }
  switch (frame['type']) {
    case 'heartbeat:ping':
      return {
        type: 'heartbeat',
        payload: {
          instance_id,
          timestamp,
          uptime_seconds: data['uptime'] ?? 0,
          cpu_percent: data['cpuPercent'],
          memory_percent: share(data, 'memoryUsed', 'memoryTotal'),
        },
      }
    case 'metrics:update':
      return { type: 'metrics', payload: metrics(data, instance_id, timestamp) }
    case 'event:instance':
      return {
        type: 'event',
        payload: { instance_id, event_type: data['eventType'], metadata: texts(data['metadata']), timestamp },
      }
    case 'command:result': {
      const { stdout, stderr, exitCode: exit_code, durationMs: duration_ms } = data
      return {
        type: 'command:result',
        payload: { command_id: frame['correlationId'], stdout, stderr, exit_code, duration_ms },
      }
    }
    case 'terminal:data':
      return { type: 'terminal:output', ...session, payload: { ...session, data: data['data'] } }
    case 'terminal:close':
      return {
        type: 'terminal:closed',
        ...session,
        payload: { ...session, exit_code: data['exitCode'] ?? 0, reason: data['reason'] },
      }
    case 'terminal:created':
    case 'terminal:error':
      return { type: frame['type'], ...session, payload: { ...data, ...session } }
    case 'log:line':
    case 'log:batch':
    case 'llm_usage:batch':
      return { type: frame['type'], payload: data }
    default:
      return undefined
  }
}

function metrics(data: Json, instance_id: string, timestamp: string): Json {
  const load = Array.isArray(data['loadAvg']) ? (data['loadAvg'] as unknown[]) : []
  const value = (...names: string[]): unknown =>
    names.map((name) => data[name]).find((each) => each !== undefined && each !== null) ?? 0
  const total = Number(value('memTotal', 'memoryTotal'))
  const used = Number(value('memUsed', 'memoryUsed'))
  const diskTotal = Number(value('diskTotal'))
  const diskUsed = Number(value('diskUsed'))
  return {
    instance_id,
    timestamp: typeof data['ts'] === 'number' ? iso(data['ts']) : timestamp,
    cpu: {
      usage_percent: value('cpuPercent'),
      load_avg_1: data['loadAvg1'] ?? load[0] ?? 0,
      load_avg_5: data['loadAvg5'] ?? load[1] ?? 0,
      load_avg_15: data['loadAvg15'] ?? load[2] ?? 0,
      core_count: value('coreCount'),
      steal_percent: data['cpuSteal'],
    },
    memory: {
      total_bytes: total,
      used_bytes: used,
      free_bytes: Math.max(0, total - used),
      cached_bytes: value('memCached'),
      usage_percent: total > 0 ? (used / total) * 100 : 0,
      swap_total_bytes: value('swapTotal'),
      swap_used_bytes: value('swapUsed'),
    },
    disk:
      diskTotal > 0
        ? [
            {
              mount_point: '/',
              device: 'all',
              fs_type: '',
              total_bytes: diskTotal,
              used_bytes: diskUsed,
              free_bytes: Math.max(0, diskTotal - diskUsed),
              usage_percent: (diskUsed / diskTotal) * 100,
            },
          ]
        : null,
    network: {
      bytes_sent: value('netBytesSent', 'networkBytesOut'),
      bytes_recv: value('netBytesRecv', 'networkBytesIn'),
      packets_sent: value('netPacketsSent'),
      packets_recv: value('netPacketsRecv'),
    },
    process_count: data['processCount'],
  }
}

function share(data: Json, used: string, total: string): number | undefined {
  const whole = Number(data[total])
  return whole > 0 ? (Number(data[used]) / whole) * 100 : undefined
}

function texts(value: unknown): Record<string, string> | undefined {
  if (!isObject(value)) return undefined
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, typeof each === 'string' ? each : JSON.stringify(each)]),
  )
}
