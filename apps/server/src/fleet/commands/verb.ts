import { StringDecoder } from 'node:string_decoder'
import { Fault } from '@wheelhouse/contract'
import type { ExecStatus } from '@wheelhouse/contract/fleet/words'
import { type Static, Type } from 'typebox'
import { Detached } from '../../kernel/agents/index.ts'
import { ids } from '../../kernel/clock/index.ts'
import type { Ended, Verb } from '../../kernel/jobs/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { guardHost } from '../instances/host-guard.ts'
import { findInstance } from '../instances/tables.ts'
import { maskedEnv, openEnv } from './env.ts'
import { instanceFacts } from './facts.ts'
import { commandLine } from './line.ts'
import { addExec, endExec, noteOutcome, startExec } from './tables.ts'

const Input = Type.Object({
  instanceId: Type.String({ minLength: 1, maxLength: 128 }),
  /** Without arguments it is a line for the machine's shell. */
  command: Type.Optional(Type.String({ minLength: 1, maxLength: 4096 })),
  args: Type.Optional(Type.Array(Type.String({ maxLength: 1024 }), { maxItems: 64 })),
  script: Type.Optional(Type.String({ minLength: 1, maxLength: 65_536 })),
  interpreter: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
  workingDir: Type.Optional(Type.String({ minLength: 1, maxLength: 512 })),
  /** The environment, sealed by the vault. */
  sealedEnv: Type.Optional(Type.String({ maxLength: 4 * 1024 * 1024 })),
  timeoutMs: Type.Optional(Type.Integer({ minimum: 1000, maximum: 300_000 })),
  /** How many machines the request reaches that this is a part of. */
  reach: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
  executionId: Type.Optional(Type.String({ pattern: '^[0-9a-f-]{36}$' })),
})

const Output = Type.Object({
  exitCode: Type.Union([Type.Integer(), Type.Null()]),
  durationMs: Type.Number(),
  truncated: Type.Boolean(),
})

export type CommandInput = Static<typeof Input>
export type CommandVerb = Verb<typeof Input, typeof Output>

const DEFAULT_TIMEOUT_MS = 30_000
/** Kept of each stream in the row; the job keeps its own bound. */
const KEPT_BYTES = 256 * 1024

/** Runs a command or a script on a machine through its agent (fleet.md §2, Commands; decisions D5). Never repeated by itself. */
export function commandVerb(kernel: Kernel): CommandVerb {
  /** The agent keeps a result until the end of its job is on record: a process that dies in between finds it there again. */
  const unacknowledged = new Map<string, { agentId: string; attempt: number }>()
  return {
    name: 'command:execute',
    topic: 'job.wh.fleet.command.execute',
    input: Input,
    output: Output,
    risk: ['exec'],
    timeoutMs: DEFAULT_TIMEOUT_MS,
    maxAttempts: 1,

    facts: async (tx, input) => ({
      ...(await instanceFacts(tx, input.instanceId)),
      command: input.script ?? commandLine(input.command ?? '', input.args ?? []),
      ...(input.script === undefined ? {} : { interpreter: input.interpreter ?? '/bin/bash' }),
      'reach.instances': input.reach ?? 1,
    }),

    async perform(run) {
      const { db, clock, agents, vault } = kernel
      const { tenantId, principal, input, jobId } = run
      if ((input.command === undefined) === (input.script === undefined))
        throw new Fault('VAL_SCHEMA', { in: 'body' }, { message: 'either command or script must be given' })
      const env = openEnv(vault, tenantId, input.sealedEnv)
      const id = input.executionId ?? ids.next()
      const timeoutMs = input.timeoutMs ?? DEFAULT_TIMEOUT_MS
      const row = await db.tenant(tenantId, async (tx) => {
        const found = await findInstance(tx, principal, input.instanceId)
        // Also for those who came through another door than the fleet's.
        await guardHost(tx, principal, found)
        await addExec(tx, clock.now(), principal, {
          id,
          instanceId: found.id,
          command: input.command ?? `${input.interpreter ?? '/bin/bash'} -s`,
          args: input.args ?? [],
          env: maskedEnv(env),
          workingDir: input.workingDir ?? null,
          timeoutMs,
          script: input.script ?? null,
          jobId,
          held: false,
        })
        await startExec(tx, id)
        return found
      })
      if (row.agentId === null)
        throw new Fault(
          'AGENT_OFFLINE',
          { instanceId: row.id },
          { message: `No agent has ever connected for '${row.name}'` },
        )
      const kept = { stdout: keeper(), stderr: keeper() }
      try {
        const result = await agents.exec({
          tenantId,
          agentId: row.agentId,
          taskId: jobId,
          attempt: run.attempt,
          takenOver: run.fence > 1,
          ...(input.script === undefined
            ? { command: input.command ?? '', args: input.args ?? [], shell: (input.args ?? []).length === 0 }
            : { script: input.script, interpreter: input.interpreter ?? '/bin/bash' }),
          ...(input.workingDir === undefined ? {} : { cwd: input.workingDir }),
          env,
          timeoutMs,
          signal: run.signal,
          onOutput: (stream, data) => run.output(stream, kept[stream].take(data)),
        })
        await db.tenant(tenantId, (tx) =>
          noteOutcome(tx, id, {
            exitCode: result.exitCode,
            stdout: kept.stdout.text(),
            stderr: kept.stderr.text(),
            truncated: result.truncated || kept.stdout.cut() || kept.stderr.cut(),
            durationMs: result.durationMs,
          }),
        )
        const delivered = { agentId: row.agentId, attempt: run.attempt }
        if (run.signal.aborted) {
          // A job that was cancelled or is over time has its end already; one that is another's now needs the result there.
          if (!(run.signal.reason instanceof Detached)) agents.settled(delivered.agentId, jobId, delivered.attempt)
          throw run.signal.reason
        }
        unacknowledged.set(jobId, delivered)
        if (result.timedOut) throw new Fault('JOB_TIMED_OUT')
        if (result.error)
          throw new Fault('COMMAND_FAILED', { reason: result.error.code }, { message: result.error.message })
        if (result.exitCode !== 0) {
          const how = result.signal === undefined ? `exit code ${result.exitCode}` : `signal ${result.signal}`
          throw new Fault('COMMAND_FAILED', { exitCode: result.exitCode }, { message: `The command ended with ${how}` })
        }
        const { exitCode, durationMs, truncated } = result
        return { exitCode, durationMs, truncated }
      } catch (error) {
        // What was written until the time was over is worth reading.
        if (run.signal.aborted)
          await db.tenant(tenantId, (tx) =>
            noteOutcome(tx, id, {
              exitCode: null,
              stdout: kept.stdout.text(),
              stderr: kept.stderr.text(),
              truncated: kept.stdout.cut() || kept.stderr.cut(),
              durationMs: timeoutMs,
            }),
          )
        throw error
      }
    },

    async settle(tx, jobId, _input, end) {
      await endExec(tx, kernel.clock.now(), jobId, statusOf(end), end.kind === 'succeeded' ? null : end.message)
      tx.afterCommit(() => {
        const delivered = unacknowledged.get(jobId)
        if (!delivered) return
        unacknowledged.delete(jobId)
        kernel.agents.settled(delivered.agentId, jobId, delivered.attempt)
      })
    },
  }
}

/** unification §5: the kernel's states in the fleet's words. */
function statusOf(end: Ended<unknown>): ExecStatus {
  if (end.kind === 'succeeded') return 'SUCCEEDED'
  return end.kind === 'timed_out' || end.code === 'JOB_TIMED_OUT' ? 'TIMEOUT' : 'FAILED'
}

/** Text of a stream of bytes, whole characters only, the first 256 KiB kept. */
function keeper() {
  const decoder = new StringDecoder('utf8')
  const parts: string[] = []
  let bytes = 0
  let cut = false
  return {
    take(data: Buffer): string {
      const text = decoder.write(data)
      if (bytes < KEPT_BYTES) parts.push(text.slice(0, KEPT_BYTES - bytes))
      cut ||= bytes + text.length > KEPT_BYTES
      bytes += text.length
      return text
    },
    text: () => parts.join(''),
    cut: () => cut,
  }
}
