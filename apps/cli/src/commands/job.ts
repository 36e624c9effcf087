import { contract } from '@wheelhouse/contract'
import { age, moment } from '../cells.ts'
import type { Command, Group } from '../command.ts'
import { EXIT } from '../exit.ts'
import { durationMs } from '../flags.ts'
import { serialised } from '../render.ts'
import { row } from '../row.ts'
import { decide } from './approval.ts'
import { bulkRow } from './bulk.ts'
import { endCode, follow, type Followed, tellEnd, tellHeld } from './follow.ts'
import { submit } from './submit.ts'
import { whyOf } from './why.ts'

const { jobs } = contract.jobs

export const jobIds: NonNullable<Command['complete']> = async ({ client }) => {
  const { items } = await client.jobs.jobs.listJobs({ query: { limit: 50 } })
  return items.map(({ id, state, topic }) => [id, `${state} ${topic ?? ''}`] as const)
}

const list = row('jobs', jobs.listJobs, {
  name: 'list',
  aliases: ['ls'],
  hide: ['tenant', 'team', 'updated_after', 'updated_before'],
  rename: { trace_id: 'trace' },
  about: {
    limit: 'how many at most',
    cursor: 'where to go on, as the last page said',
    state: 'PENDING, APPROVAL_REQUIRED, RUNNING, SUCCEEDED, FAILED, CANCELLED, TIMEOUT or DENIED',
  },
  items: ({ items }) => items,
  columns: {
    ID: ({ id }) => id,
    STATE: ({ state }) => state,
    TOPIC: ({ topic }) => topic,
    BY: ({ principal, actor_id: actor }) => principal ?? actor,
    DECISION: ({ safety_decision: decision }) => decision,
    RULE: ({ safety_rule_id: rule }) => rule,
    AGE: ({ updated_at: updated }) => age(updated),
  },
  id: ({ id }) => id,
  said: ({ next_cursor: next, items }) => (next && items.length > 0 ? `More with --cursor ${next}` : ''),
  examples: ['wheelhouse job list --state APPROVAL_REQUIRED', 'wheelhouse job list --watch'],
})

const json = (value: unknown): string =>
  value === null || value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value, undefined, 2)

const get = row('jobs', jobs.getJob, {
  name: 'get',
  aliases: ['show'],
  complete: jobIds,
  columns: {
    ID: ({ id }) => id,
    State: ({ state }) => state,
    Topic: ({ topic }) => topic,
    By: ({ principal, actor_id: actor }) => principal ?? actor,
    Created: ({ created_at: at }) => moment(at),
    Started: ({ started_at: at }) => moment(at),
    Ended: ({ completed_at: at }) => moment(at),
    Attempts: ({ attempts }) => attempts,
    Worker: ({ worker_id: worker }) => worker,
    Decision: ({ safety_decision: decision }) => decision,
    Rule: ({ safety_rule_id: rule }) => rule,
    Reason: ({ safety_reason: reason }) => reason,
    Approved: ({ approval_by: by, approval_at: at }) => (by ? `by ${by}, ${moment(at)}` : ''),
    Error: ({ error_message: message, error_code: code }) => [message, code && `(${code})`].filter(Boolean).join(' '),
    Trace: ({ trace_id: trace }) => trace,
    Input: ({ context }) => json(context),
    Result: ({ result }) => json(result),
  },
  id: ({ id }) => id,
})

const cancel = row('jobs', jobs.cancelJob, {
  name: 'cancel',
  complete: jobIds,
  said: ({ id, state, reason }) => (reason ? `${id} is ${state} already.` : `${id} is cancelled.`),
  id: ({ id }) => id,
})

const retry = row('jobs', jobs.remediateJob, {
  name: 'remediate',
  args: ['[remediation_id]'],
  summary: 'Submit a refused job again in the way that policy proposed instead',
  complete: jobIds,
  said: ({ job_id: id }) => `Submitted as ${id}. Follow it: wheelhouse job watch ${id}`,
})

/** The exit code of a look at a job, and the words that go with it. */
function told(call: Parameters<Command['run']>[0], jobId: string, seen: Followed): number {
  if (seen.kind === 'held') {
    tellHeld(call.voice, jobId, seen.state)
    return EXIT.held
  }
  if (seen.kind === 'timeout') {
    call.voice.warn('It has not ended yet; it goes on.')
    return EXIT.timeout
  }
  if (seen.kind === 'interrupted') return EXIT.interrupted
  if (call.format === 'table') tellEnd(call, jobId, seen.end)
  return endCode(seen.end)
}

const watch: Command = {
  name: 'watch',
  summary: 'Follow a job to its end: states, output, result; exits as it ended',
  args: ['id'],
  complete: jobIds,
  flags: [{ name: 'timeout', kind: 'text', value: 'time', summary: 'stop looking after this time (exit code 8)' }],
  async run(call) {
    const { args, flags, format, voice } = call
    const jobId = args.one('id')
    const timeout = flags.text('timeout')
    const asData = format === 'json' || format === 'yaml'
    const seen = await follow(call, jobId, {
      showOutput: !asData,
      stopWhenHeld: false,
      onInterrupt: 'leaves it',
      ...(timeout === undefined ? {} : { timeoutMs: durationMs(timeout) }),
    })
    if (asData && seen.kind === 'ended') voice.line(serialised(format, seen.end))
    else if (seen.kind === 'ended' && seen.end.state === 'SUCCEEDED')
      voice.say(`${voice.tint('green', '✓')} ${jobId} succeeded.`)
    return told(call, jobId, seen)
  },
}

const output: Command = {
  name: 'output',
  summary: 'What a job wrote: its stdout and stderr on ours',
  args: ['id'],
  complete: jobIds,
  flags: [{ name: 'follow', short: 'f', kind: 'switch', summary: 'go on until the job ends' }],
  async run(call) {
    const jobId = call.args.one('id')
    const { client } = call.session()
    const { state } = await client.jobs.jobs.getJob({ params: { id: jobId }, signal: call.signal })
    const isOver = ['SUCCEEDED', 'FAILED', 'CANCELLED', 'TIMEOUT', 'DENIED'].includes(state)
    if (!isOver && !call.flags.on('follow')) call.voice.say(`It is ${state}; -f goes on until it ends.`)
    const seen = await follow(call, jobId, {
      showOutput: true,
      stopWhenHeld: true,
      onInterrupt: 'leaves it',
      // What is there comes at once; without -f the rest is not waited for.
      ...(isOver || call.flags.on('follow') ? {} : { timeoutMs: 1500 }),
    })
    if (seen.kind === 'interrupted') return EXIT.interrupted
    return EXIT.ok
  },
}

export const jobGroup: Group = {
  name: 'job',
  aliases: ['jobs', 'j'],
  summary: 'Governed jobs: whatever changes the world',
  commands: [
    submit(told),
    list,
    get,
    watch,
    output,
    whyOf('job', jobIds),
    decide('approve'),
    decide('reject'),
    cancel,
    retry,
    bulkRow('cancel-all', contract.native.bulk.cancelJobs, 'Cancel all that match, after a count'),
    bulkRow(
      'retry-all',
      contract.native.bulk.retryJobs,
      'Submit all again that match and did not succeed, after a count',
    ),
    bulkRow(
      'replay-all',
      contract.native.bulk.replayJobs,
      'Run all once more that match and have ended, after a count',
    ),
  ],
}
