import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeMessage } from '@wheelhouse/sdk/agent-protocol'
import type { AgentMessage, AgentPayload, ServerPayload } from '@wheelhouse/sdk/agent-protocol'
import { crashPoint } from './crash.ts'
import { Delivery } from './delivery.ts'
import type { Send } from './delivery.ts'
import { execute, markerOf } from './execute.ts'
import type { Execution, ProcessRequest } from './execute.ts'
import { messageOf } from './log.ts'
import type { Log } from './log.ts'
import { hostBootId, readStat } from './proc.ts'
import { ProcessTree } from './process-tree.ts'
import { acknowledge, createEntry, readEntries, removeEntry, writeProcess, writeResult } from './spool.ts'
import type { Entry, ExecResult } from './spool.ts'
import { measureOutput, TaskOutput } from './task-output.ts'

type Start = ServerPayload<'exec:start'>
type Refusal = AgentPayload<'exec:refused'>['code']

interface Task {
  entry: Entry
  delivery: Delivery
  execution?: Execution
  startedAt?: string
  lastSeq: number
}

export interface TasksOptions {
  dataDir: string
  shell: string
  maxTasks: number
  send: Send
  log: Log
}

const REMEMBERED_MS = 24 * 3_600_000
const UNDELIVERED_MS = 7 * 24 * 3_600_000

/**
 * The commands that the server asked for. Each (task, attempt) runs at most once, also across crashes of the agent; its output and result
 * stay on disk until the server acknowledges them.
 */
export class Tasks {
  readonly #options: TasksOptions
  readonly #root: string
  readonly #tasks = new Map<string, Task>()
  readonly #turns = new Map<string, Promise<void>>()
  #bootId = ''
  #stopped = false

  constructor(options: TasksOptions) {
    this.#options = options
    this.#root = join(options.dataDir, 'tasks')
  }

  /** Takes up what an earlier life of the agent left: tasks that were running are ended and reported as lost. Call once, before connecting. */
  async recover(): Promise<void> {
    this.#bootId = await hostBootId()
    for (const entry of readEntries(this.#root)) {
      const { record } = entry
      const other = this.#tasks.get(record.task_id)
      if (other && other.entry.record.attempt > record.attempt) {
        removeEntry(entry)
        continue
      }
      if (other) removeEntry(other.entry)
      this.#tasks.set(record.task_id, { entry, delivery: new Delivery(entry, this.#options.send), lastSeq: 0 })
      if (!entry.result && !entry.acknowledged) await this.#reportLost(entry)
    }
    this.prune()
  }

  /** Tasks whose result the server has not acknowledged, as `hello` declares them. */
  unacknowledged(): AgentPayload<'hello'>['tasks'] {
    return [...this.#tasks.values()]
      .filter(({ entry }) => !entry.acknowledged)
      .map(({ entry, execution, lastSeq }) => ({
        task_id: entry.record.task_id,
        attempt: entry.record.attempt,
        state: execution ? ('running' as const) : ('finished' as const),
        last_seq: entry.result?.last_seq ?? lastSeq,
      }))
  }

  running(): { task_id: string; attempt: number }[] {
    const running = [...this.#tasks.values()].filter(({ execution }) => execution)
    return running.map(({ entry: { record } }) => ({ task_id: record.task_id, attempt: record.attempt }))
  }

  isFull(): boolean {
    return this.#stopped || this.running().length >= this.#options.maxTasks
  }

  /** Handles `exec:start`: runs the attempt, or goes on delivering it if it has run or is running. */
  start(start: Start): Promise<void> {
    return this.#inTurn(start.task_id, () => this.#start(start))
  }

  cancel({ task_id, attempt }: ServerPayload<'exec:cancel'>): Promise<void> {
    return this.#inTurn(task_id, async () => {
      const task = this.#tasks.get(task_id)
      if (!task || (attempt !== undefined && attempt !== task.entry.record.attempt)) {
        await this.#refuse({ task_id, attempt: attempt ?? 1 }, 'unknown_task', 'no such task runs here')
        return
      }
      task.execution?.end('cancelled')
    })
  }

  acknowledge({ task_id, attempt }: ServerPayload<'exec:ack'>): Promise<void> {
    return this.#inTurn(task_id, async () => {
      const task = this.#tasks.get(task_id)
      if (!task || task.entry.record.attempt !== attempt || task.execution) return
      crashPoint('agent:after-delivery', this.#options.dataDir)
      task.delivery.detach()
      acknowledge(task.entry)
      crashPoint('agent:after-ack', this.#options.dataDir)
    })
  }

  /** The connection is gone: everything waits until the server asks for it again. */
  detach(): void {
    for (const { delivery } of this.#tasks.values()) delivery.detach()
  }

  /** Forgets what ran more than a day ago and was acknowledged, and after a week also what nobody fetched. */
  prune(now = Date.now()): void {
    for (const [id, { entry, execution }] of this.#tasks) {
      const age = now - entry.record.started_at
      if (execution || age < (entry.acknowledged ? REMEMBERED_MS : UNDELIVERED_MS)) continue
      if (!entry.acknowledged) this.#options.log.warn('dropped a result that the server never fetched', { task: id })
      removeEntry(entry)
      this.#tasks.delete(id)
    }
  }

  /** Ends all tasks within about five seconds; their results say `agent_stopped` and are delivered by the next life of the agent. */
  async stop(): Promise<void> {
    this.#stopped = true
    const executions = [...this.#tasks.values()].flatMap(({ execution }) => execution ?? [])
    for (const execution of executions) execution.end('agent_stopped', 2_000)
    await Promise.all(executions.map((execution) => execution.done))
    await Promise.all(this.#turns.values())
  }

  async #start(start: Start): Promise<void> {
    const known = this.#tasks.get(start.task_id)
    const knownAttempt = known?.entry.record.attempt ?? 0
    if (known && start.attempt === knownAttempt) {
      if (known.entry.acknowledged)
        return this.#refuse(start, 'already_finished', 'this attempt has run and its result was acknowledged')
      await this.#announce(known)
      return known.delivery.attach(start.after_seq ?? 0)
    }
    if (start.attempt < knownAttempt)
      return this.#refuse(start, 'stale_attempt', `attempt ${knownAttempt} was seen already`)
    if (start.command === undefined && start.script === undefined)
      return this.#refuse(start, 'invalid', 'neither command nor script')
    known?.delivery.detach()
    if (known?.execution) {
      known.execution.end('cancelled')
      await known.execution.done
    }
    if (this.isFull()) {
      const why = this.#stopped
        ? 'the agent is stopping'
        : `${this.#options.maxTasks} tasks are running, which is this agent's limit`
      return this.#refuse(start, 'busy', why)
    }
    let entry: Entry
    try {
      entry = createEntry(this.#root, {
        task_id: start.task_id,
        attempt: start.attempt,
        mark: randomUUID(),
        started_at: Date.now(),
        host_boot_id: this.#bootId,
        ...(start.script !== undefined && { script_folder: join(tmpdir(), `wheelhouse-task-${randomUUID()}`) }),
      })
    } catch (error) {
      return this.#refuse(start, 'storage', `cannot record the task: ${messageOf(error)}`)
    }
    crashPoint('agent:after-record', this.#options.dataDir)
    if (known) removeEntry(known.entry)
    this.#run(entry, start)
  }

  #run(entry: Entry, start: Start): void {
    const { task_id, attempt } = start
    const task: Task = { entry, delivery: new Delivery(entry, this.#options.send), lastSeq: 0 }
    this.#tasks.set(task_id, task)
    task.delivery.attach(start.after_seq ?? 0)
    const output = new TaskOutput(entry, start.max_output_bytes, this.#options.log)
    task.execution = execute(this.#processOf(start, entry), {
      started: (pid) => {
        task.startedAt = new Date().toISOString()
        entry.process = { pid }
        crashPoint('agent:after-spawn', this.#options.dataDir)
        void this.#remember(entry, pid)
        void this.#announce(task)
      },
      output: (stream, data) => {
        output.write(stream, data)
        task.lastSeq = output.lastSeq
        task.delivery.wake()
      },
    })
    this.#options.log.info('task started', { task: task_id, attempt })
    void this.#finish(task, task.execution, output)
  }

  async #finish(task: Task, execution: Execution, output: TaskOutput): Promise<void> {
    const { exitCode, signal, timedOut, cancelled, durationMs, error } = await execution.done
    output.close()
    const { task_id, attempt } = task.entry.record
    const result: ExecResult = {
      task_id,
      attempt,
      exit_code: exitCode,
      timed_out: timedOut,
      cancelled,
      duration_ms: durationMs,
      stdout_bytes: output.bytes.stdout,
      stderr_bytes: output.bytes.stderr,
      truncated: output.truncated,
      last_seq: output.lastSeq,
      ...(signal && { signal }),
      ...(error && { error }),
    }
    crashPoint('agent:before-result', this.#options.dataDir)
    try {
      writeResult(task.entry, result)
      crashPoint('agent:after-result', this.#options.dataDir)
    } catch (failure) {
      // It is delivered from memory all the same; only a crash before that turns it into `lost`.
      task.entry.result = result
      this.#options.log.error('cannot store a result', { task: task_id, error: messageOf(failure) })
    }
    task.execution = undefined
    this.#options.log.info('task ended', {
      task: task_id,
      attempt,
      exit: exitCode ?? undefined,
      signal,
      timedOut,
      cancelled,
    })
    task.delivery.wake()
  }

  #processOf(start: Start, entry: Entry): ProcessRequest {
    const { shell } = this.#options
    const { script_folder: folder, mark } = entry.record
    const { script, interpreter = shell, command } = start
    return {
      taskId: start.task_id,
      attempt: start.attempt,
      mark,
      args: start.args,
      cwd: start.cwd,
      env: start.env,
      timeoutMs: start.timeout_ms,
      ...(script !== undefined && folder
        ? { script: { text: script, interpreter, folder } }
        : { command, ...(start.shell && { shell }) }),
    }
  }

  async #announce({ entry: { record, process }, startedAt, execution }: Task): Promise<void> {
    if (!execution || !process || !startedAt) return
    const { task_id, attempt } = record
    await this.#say({ type: 'exec:started', payload: { task_id, attempt, pid: process.pid, started_at: startedAt } })
  }

  async #remember(entry: Entry, pid: number): Promise<void> {
    const stat = await readStat(pid)
    if (entry.result || entry.acknowledged) return
    try {
      writeProcess(entry, { pid, started: stat?.started })
    } catch (error) {
      this.#options.log.warn('cannot record a process', { pid, error: messageOf(error) })
    }
  }

  async #reportLost(entry: Entry): Promise<void> {
    const { task_id, attempt, mark, started_at, host_boot_id, script_folder } = entry.record
    if (script_folder) rmSync(script_folder, { recursive: true, force: true })
    if (host_boot_id === this.#bootId) {
      const { pid, started } = entry.process ?? {}
      const root = started === undefined ? {} : { pid, started }
      await new ProcessTree({ ...root, marker: markerOf(mark) }).end(2_000)
    }
    const { bytes, lastSeq } = await measureOutput(entry)
    writeResult(entry, {
      task_id,
      attempt,
      exit_code: null,
      timed_out: false,
      cancelled: false,
      duration_ms: Math.max(0, Date.now() - started_at),
      stdout_bytes: bytes.stdout,
      stderr_bytes: bytes.stderr,
      truncated: false,
      last_seq: lastSeq,
      error: { code: 'lost', message: 'the agent ended while the task was running' },
    })
    this.#options.log.warn('a task was lost with the last life of the agent', { task: task_id, attempt })
  }

  #refuse({ task_id, attempt }: { task_id: string; attempt: number }, code: Refusal, message: string): Promise<void> {
    this.#options.log.warn('task refused', { task: task_id, attempt, code })
    return this.#say({ type: 'exec:refused', payload: { task_id, attempt, code, message } })
  }

  async #say(message: AgentMessage): Promise<void> {
    await this.#options.send(encodeMessage(message))
  }

  // Messages about one task are handled one after the other, however long one of them takes.
  #inTurn(taskId: string, work: () => Promise<void>): Promise<void> {
    const before = this.#turns.get(taskId)
    const turn = this.#takeTurn(taskId, before, work).finally(() => {
      if (this.#turns.get(taskId) === turn) this.#turns.delete(taskId)
    })
    this.#turns.set(taskId, turn)
    return turn
  }

  async #takeTurn(taskId: string, before: Promise<void> | undefined, work: () => Promise<void>): Promise<void> {
    try {
      await before
      await work()
    } catch (error) {
      this.#options.log.error('task message failed', { task: taskId, error: messageOf(error) })
    }
  }
}
