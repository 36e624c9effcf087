import {
  anyObject,
  base64,
  counter,
  dictionary,
  flag,
  integer,
  list,
  nullable,
  number,
  object,
  oneOf,
  ShapeError,
  text,
} from './shape.ts'
import type { Of, Shape } from './shape.ts'

// The protocol between a host's agent and the server's hub. Its base is the one that Draupnir speaks (fleet.md 3.16), so that such an
// agent works with our server and ours with such a server; what goes beyond is used only after `hello` has declared the capability.

export const PROTOCOL_VERSION = '1.0'
/** Every frame from an agent, and every frame to an agent that declares no `max_frame_bytes`, is smaller than this (fleet.md 3.16). */
export const BASE_FRAME_BYTES = 64 * 1024
/** What our agent accepts in one frame; an `exec:start` with a large script needs it. */
export const AGENT_FRAME_BYTES = 4 * 1024 * 1024
/** Raw bytes in one `exec:output` or `terminal:*` frame: with base64 and the envelope they stay below `BASE_FRAME_BYTES`. */
export const CHUNK_BYTES = 32 * 1024

/** What an agent can declare in `hello`. `terminal` and `metrics` are base; a base agent declares nothing. */
export const AGENT_CAPABILITIES = ['exec', 'command', 'terminal', 'metrics', 'processes', 'inventory', 'logs'] as const
export type AgentCapability = (typeof AGENT_CAPABILITIES)[number]

const id = text(128, 1)
const name = text(256)
const path = text(4096, 1)
const requestId = text(64, 1)
const attempt = integer(1, 2_147_483_647)
const labels = dictionary(text(1024), 256)
const terminal = { session_id: id }

const task = { task_id: id, attempt }

/** Why a task ended without an exit code of its own, or why it could not begin. */
export const EXEC_ERRORS = [
  'not_found',
  'not_executable',
  'bad_cwd',
  'spawn_failed',
  'lost',
  'agent_stopped',
  'unkillable',
] as const
export const EXEC_REFUSALS = [
  'busy',
  'stale_attempt',
  'already_finished',
  'unknown_task',
  'invalid',
  'storage',
] as const

const metric = object(
  {
    instance_id: id,
    timestamp: text(64),
    cpu: object(
      { usage_percent: number, load_avg_1: number, load_avg_5: number, load_avg_15: number, core_count: integer(0) },
      { per_core: list(number, 4096), steal_percent: number },
    ),
    memory: object({
      total_bytes: counter,
      used_bytes: counter,
      free_bytes: counter,
      cached_bytes: counter,
      usage_percent: number,
      swap_total_bytes: counter,
      swap_used_bytes: counter,
    }),
    disk: nullable(
      list(
        object({
          mount_point: text(4096),
          device: text(4096),
          fs_type: text(64),
          total_bytes: counter,
          used_bytes: counter,
          free_bytes: counter,
          usage_percent: number,
        }),
        1024,
      ),
    ),
    network: object({ bytes_sent: counter, bytes_recv: counter, packets_sent: counter, packets_recv: counter }),
  },
  {
    disk_io: object({ read_bytes: counter, written_bytes: counter }),
    process_count: integer(0),
    host_uptime_seconds: counter,
  },
)

const process_ = object(
  {
    pid: integer(0),
    ppid: integer(0),
    name: text(256),
    status: text(32),
    user: text(128),
    cpu_percent: number,
    memory_bytes: counter,
    memory_percent: number,
  },
  { command: text(4096), threads: integer(0), started_at: text(64) },
)

export const PACKAGE_TYPES = ['deb', 'rpm', 'apk', 'npm', 'pypi'] as const
const package_ = object(
  { type: oneOf(...PACKAGE_TYPES), name: text(512, 1), version: text(512) },
  { arch: text(64), source: text(512), license: text(512) },
)

/** `line` and `timestamp` are other names of `message` and `ts` (fleet.md 3.6). */
const logLine = object(
  { level: text(16) },
  {
    message: text(65_536),
    line: text(65_536),
    source: text(256),
    ts: anyTime,
    timestamp: anyTime,
    path,
    metadata: anyObject,
    deploymentId: id,
  },
)

const llmRecord = object(
  { provider: text(128), model: text(256), inputTokens: counter, outputTokens: counter, costUsd: number, ts: counter },
  {
    operation: text(128),
    cacheReadTokens: counter,
    cacheWriteTokens: counter,
    captureTier: text(32),
    traceId: text(256),
  },
)

/** Agent to server. Types without a note are the base protocol. */
export const agentMessages = {
  /** First on every connection of an agent that can more than the base. `tasks` are those whose result the server has not acknowledged. */
  hello: object(
    {
      instance_id: id,
      boot_id: id,
      agent_version: text(64),
      capabilities: list(text(64, 1), 64),
      labels,
      host: object(
        { hostname: name, os: text(32), arch: text(32) },
        {
          distro: text(128),
          distro_version: text(128),
          kernel: text(256),
          cpu_model: text(256),
          cpu_count: integer(0),
          memory_total_bytes: counter,
          provider: text(32),
          region: text(64),
          booted_at: text(64),
          user: text(128),
        },
      ),
      tasks: list(object({ ...task, state: oneOf('running', 'finished'), last_seq: integer(0) }), 10_000),
      terminals: list(id, 1_000),
    },
    { name, max_tasks: integer(1), max_frame_bytes: integer(1024) },
  ),
  heartbeat: object(
    { instance_id: id, timestamp: text(64), uptime_seconds: counter },
    {
      cpu_percent: number,
      memory_percent: number,
      disk_percent: number,
      running_tasks: list(object(task), 10_000),
    },
  ),
  metrics: metric,
  registration: anyObject,
  event: object(
    { event_type: text(128) },
    { instance_id: id, message: text(10_000), metadata: dictionary(text(10_000), 256), timestamp: text(64) },
  ),
  'llm_usage:batch': object({ records: list(llmRecord, 10_000) }),
  'command:result': object({
    command_id: id,
    stdout: text(Number.MAX_SAFE_INTEGER),
    stderr: text(Number.MAX_SAFE_INTEGER),
    exit_code: integer(),
    duration_ms: counter,
  }),
  'terminal:output': object({ data: base64(AGENT_FRAME_BYTES) }, terminal),
  'terminal:closed': object({ exit_code: integer() }, { ...terminal, reason: text(1024) }),
  'terminal:created': object({ pid: integer(0) }, terminal),
  'terminal:error': object({ message: text(1024) }, terminal),
  'log:line': logLine,
  'log:batch': object({ lines: list(logLine, 10_000) }, { path }),
  /** exec: the process runs. */
  'exec:started': object({ ...task, pid: integer(1), started_at: text(64) }),
  /** exec: `seq` counts both streams of an attempt together from 1, without a gap; the file descriptor order is the order of arrival. */
  'exec:output': object({
    ...task,
    stream: oneOf('stdout', 'stderr'),
    seq: integer(1),
    data: base64(CHUNK_BYTES),
  }),
  /** exec: sent after all output, kept on disk until `exec:ack`. Byte counts are what the process wrote, also beyond the limit. */
  'exec:result': object(
    {
      ...task,
      exit_code: nullable(integer(0, 255)),
      timed_out: flag,
      cancelled: flag,
      duration_ms: counter,
      stdout_bytes: counter,
      stderr_bytes: counter,
      truncated: flag,
      last_seq: integer(0),
    },
    { signal: text(16), error: object({ code: oneOf(...EXEC_ERRORS), message: text(1024) }) },
  ),
  /** exec: nothing was started and nothing is remembered; for `busy` the server may try later. */
  'exec:refused': object({ ...task, code: oneOf(...EXEC_REFUSALS), message: text(1024) }),
  /** processes, inventory, logs: lists come in parts below the frame limit. */
  'processes:listed': object({
    request_id: requestId,
    timestamp: text(64),
    total: integer(0),
    last: flag,
    processes: list(process_, 10_000),
  }),
  'inventory:listed': object({
    request_id: requestId,
    timestamp: text(64),
    last: flag,
    packages: list(package_, 10_000),
  }),
  'logs:listed': object({
    request_id: requestId,
    last: flag,
    files: list(object({ path, size_bytes: counter, modified_at: text(64) }), 10_000),
  }),
  /** The request with this id could not be answered. */
  'request:failed': object({ request_id: requestId, message: text(1024) }),
} as const satisfies Record<string, Shape<unknown>>

/** Server to agent. Types without a note are the base protocol. */
export const serverMessages = {
  /** Answers `hello`; may come again to change the intervals. */
  'hello:ok': object({ agent_id: id }, { heartbeat_ms: integer(100, 3_600_000), metrics_ms: integer(100, 3_600_000) }),
  'heartbeat:pong': anyObject,
  'terminal:create': object(
    { cols: integer(0, 65_535), rows: integer(0, 65_535) },
    { ...terminal, shell: path, cwd: path, env: dictionary(text(32_768), 512) },
  ),
  'terminal:input': object({ data: base64(AGENT_FRAME_BYTES) }, terminal),
  'terminal:resize': object({ cols: integer(0, 65_535), rows: integer(0, 65_535) }, terminal),
  'terminal:close': object({}, { ...terminal, reason: text(1024) }),
  'command:dispatch': object(
    { command_id: id, command: text(65_536, 1) },
    { args: list(text(32_768), 1024), env: list(text(32_768), 512), timeout_ms: integer(0, 86_400_000) },
  ),
  /**
   * exec: runs `script` through `interpreter`, or `command` (through the shell if `shell`) with `args`. The same task and attempt again
   * runs nothing: it replays the output after `after_seq` and the result. A higher attempt ends the older one first.
   */
  'exec:start': object(
    { ...task, timeout_ms: integer(1, 604_800_000), max_output_bytes: integer(0, 1_073_741_824) },
    {
      command: text(65_536, 1),
      args: list(text(131_072), 1024),
      shell: flag,
      script: text(1_048_576, 1),
      interpreter: text(512, 1),
      cwd: path,
      env: dictionary(text(131_072), 1024),
      after_seq: integer(0),
    },
  ),
  'exec:cancel': object({ task_id: id }, { attempt, reason: text(1024) }),
  /** exec: the result is stored; the agent forgets output and result, but remembers for a day that the attempt ran. */
  'exec:ack': object(task),
  'processes:list': object({ request_id: requestId }, { limit: integer(1, 10_000), sort: oneOf('cpu', 'memory') }),
  'inventory:list': object({ request_id: requestId }),
  'logs:files': object({ request_id: requestId }),
  /** logs: follows these files from their present end, after the last `tail_lines` lines. */
  'logs:tail': object({ paths: list(path, 256) }, { tail_lines: integer(0, 10_000) }),
  'logs:untail': object({ paths: list(path, 256) }),
  'log:subscribe': object({ paths: list(path, 256) }),
  'log:unsubscribe': object({ paths: list(path, 256) }),
} as const satisfies Record<string, Shape<unknown>>

type Messages<M extends Record<string, Shape<unknown>>> = {
  [T in keyof M & string]: { type: T; session_id?: string; payload: Of<M[T]> }
}[keyof M & string]

export type AgentMessage = Messages<typeof agentMessages>
export type ServerMessage = Messages<typeof serverMessages>
export type AgentPayload<T extends AgentMessage['type']> = Of<(typeof agentMessages)[T]>
export type ServerPayload<T extends ServerMessage['type']> = Of<(typeof serverMessages)[T]>
export type LogLine = Of<typeof logLine>
export type LlmRecord = Of<typeof llmRecord>
export type HostProcess = Of<typeof process_>
export type InstalledPackage = Of<typeof package_>

/** A frame that cannot be used. The codes are those that the fleet document names for the sockets. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
  readonly code: 'PARSE_ERROR' | 'UNKNOWN_MESSAGE_TYPE' | 'INVALID_PAYLOAD'
  constructor(code: ProtocolError['code'], message: string) {
    super(message)
    this.code = code
  }
}

/** The message in a frame from an agent, checked; throws `ProtocolError`. Session ids found in envelope or payload stand in both. */
export const decodeAgentMessage = (frame: string): AgentMessage => decode(agentMessages, frame) as AgentMessage
/** The message in a frame from the server, checked; throws `ProtocolError`. */
export const decodeServerMessage = (frame: string): ServerMessage => decode(serverMessages, frame) as ServerMessage

/** One frame in the agent's dialect. */
export function encodeMessage(message: AgentMessage | ServerMessage): string {
  const { type, session_id, payload } = message
  return JSON.stringify({ protocol_version: PROTOCOL_VERSION, type, session_id, payload })
}

function decode(messages: Record<string, Shape<unknown>>, frame: string): { type: string; payload: unknown } {
  const envelope = parse(frame)
  const { type } = envelope
  const shape = typeof type === 'string' && Object.hasOwn(messages, type) ? messages[type] : undefined
  if (!shape)
    throw new ProtocolError('UNKNOWN_MESSAGE_TYPE', `unknown message type ${JSON.stringify(type)?.slice(0, 80)}`)
  const payload = withSession(envelope)
  try {
    const checked = shape(payload, '')
    const session = (payload as { session_id?: unknown }).session_id
    return { type: type as string, ...(typeof session === 'string' && { session_id: session }), payload: checked }
  } catch (error) {
    if (error instanceof ShapeError) throw new ProtocolError('INVALID_PAYLOAD', `${type}: ${error.message}`)
    throw error
  }
}

function parse(frame: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(frame)
  } catch {
    throw new ProtocolError('PARSE_ERROR', 'the frame is not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ProtocolError('PARSE_ERROR', 'the frame is not an object')
  }
  return value as Record<string, unknown>
}

// Draupnir reads the session of `terminal:close` from the envelope alone, and of other terminal messages from the payload.
function withSession({ payload = {}, session_id }: Record<string, unknown>): unknown {
  if (payload === null) return typeof session_id === 'string' ? { session_id } : {}
  if (typeof session_id !== 'string' || session_id === '' || typeof payload !== 'object' || Array.isArray(payload))
    return payload
  return { session_id, ...payload }
}

function anyTime(value: unknown, path?: string): string | number {
  return typeof value === 'number' ? number(value, path) : text(64)(value, path)
}
