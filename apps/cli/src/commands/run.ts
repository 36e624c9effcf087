import { contract } from '@wheelhouse/contract'
import { age, moment } from '../cells.ts'
import type { Command, Group } from '../command.ts'
import { durationMs } from '../flags.ts'
import { row } from '../row.ts'
import { followRun } from './run-follow.ts'
import { whyOf } from './why.ts'

const { runs } = contract.jobs

const runIds: NonNullable<Command['complete']> = async ({ client }) => {
  const { items } = await client.jobs.runs.listRuns({ query: { limit: 50 } })
  return items.map(({ id, status, workflow_id: workflow }) => [id, `${workflow} ${status}`] as const)
}

const stepWords = (status: string, step: { skipped?: boolean; retrying?: boolean }): string =>
  step.skipped ? 'skipped' : step.retrying ? 'will be tried again' : status.replace('_', ' ')

const json = (value: unknown): string =>
  value === null || value === undefined ? '' : JSON.stringify(value, undefined, 2)

const list = row('jobs', runs.listRuns, {
  name: 'list',
  aliases: ['ls'],
  hide: ['org_id', 'team_id', 'updated_after', 'updated_before'],
  rename: { workflow_id: 'workflow' },
  about: {
    limit: 'how many at most',
    cursor: 'where to go on, as the last page said',
    status: 'pending, running, waiting, succeeded, failed, cancelled or timed_out',
  },
  items: ({ items }) => items,
  columns: {
    ID: ({ id }) => id,
    WORKFLOW: ({ workflow_id: workflow }) => workflow,
    STATUS: ({ status, dry_run: dry }) => (dry ? 'dry run' : status),
    BY: ({ triggered_by: by }) => by,
    STARTED: ({ started_at: at }) => age(at),
    CHANGED: ({ updated_at: at }) => age(at),
  },
  id: ({ id }) => id,
  said: ({ next_cursor: next, items }) => (next && items.length > 0 ? `More with --cursor ${next}` : ''),
  examples: ['wheelhouse run list --status failed', 'wheelhouse run list --watch'],
})

const get = row('jobs', runs.getRun, {
  name: 'get',
  aliases: ['show'],
  complete: runIds,
  columns: {
    ID: ({ id }) => id,
    Workflow: ({ workflow_id: workflow, revision }) => `${workflow}${revision ? `@${revision}` : ''}`,
    Status: ({ status, dry_run: dry }) => (dry ? `${status} (dry run)` : status),
    By: ({ triggered_by: by }) => by,
    Started: ({ started_at: at }) => moment(at),
    Ended: ({ completed_at: at }) => moment(at),
    'Again of': ({ rerun_of: of, rerun_step: step }) => (of ? `${of}${step ? ` from ${step}` : ''}` : ''),
    Steps: ({ steps }) =>
      Object.entries(steps ?? {})
        .filter(([key]) => !key.includes('['))
        .map(([key, step]) => {
          const counts = step.children_counts
          const items = counts ? ` ${counts.succeeded} of ${counts.total}` : ''
          return `${key}: ${stepWords(step.status, step)}${items}${step.error ? ` (${step.error.message})` : ''}`
        })
        .join('\n'),
    Error: ({ error }) => json(error),
    Input: ({ input }) => json(input),
    Output: ({ output }) => json(output),
  },
  id: ({ id }) => id,
})

const watch: Command = {
  name: 'watch',
  summary: 'Follow a run to its end, step by step; exits as it ended',
  args: ['id'],
  complete: runIds,
  flags: [{ name: 'timeout', kind: 'text', value: 'time', summary: 'stop looking after this time (exit code 8)' }],
  run(call) {
    const timeout = call.flags.text('timeout')
    return followRun(call, call.args.one('id'), timeout === undefined ? undefined : durationMs(timeout))
  },
}

const timeline = row('jobs', runs.getRunTimeline, {
  name: 'timeline',
  complete: runIds,
  about: { limit: 'how many at most' },
  items: (events) => events,
  columns: {
    TIME: ({ time }) => moment(time),
    STEP: ({ step_id: step }) => step,
    WHAT: ({ type }) => type,
    STATUS: ({ status }) => status,
    MESSAGE: ({ message }) => message,
  },
})

const rerun = row('jobs', runs.rerunRun, {
  name: 'rerun',
  complete: runIds,
  rename: { dry_run: 'plan' },
  about: {
    from_step: 'only this step and what follows it; what went before is taken over',
    dry_run: 'execute nothing: only show the plan',
  },
  said: ({ run_id: id }) => `Started ${id}. Follow it: wheelhouse run watch ${id}`,
  columns: { RUN: ({ run_id: id }) => id },
  id: ({ run_id: id }) => id,
  examples: ['wheelhouse run rerun RUN --from-step deploy', 'wheelhouse run rerun RUN -f changed.yaml   # input: {…}'],
})

const cancel = row('jobs', runs.cancelRun, {
  name: 'cancel',
  confirm: ({ args }) => `Cancel run ${args.one('run_id')} and the jobs of its steps?`,
  said: () => 'Cancelled.',
})

const decide = (name: 'approve' | 'reject'): Command =>
  row('jobs', runs.approveStep, {
    name,
    summary:
      name === 'approve' ? 'Vote for a step that waits, with the value that it asks for' : 'Reject a step that waits',
    hide: ['approved', 'value'],
    flags:
      name === 'approve'
        ? [{ name: 'value', kind: 'text', value: 'json', summary: 'the value that a form step asks for' }]
        : [],
    prepare: ({ body }, { flags }) => {
      body['approved'] = name === 'approve'
      const value = flags.text('value')
      if (value !== undefined) body['value'] = JSON.parse(value) as unknown
    },
    said: (_, { args }) => `${name === 'approve' ? 'Approved' : 'Rejected'} ${args.one('step_id')}.`,
  })

const chat = row('jobs', runs.getRunChat, {
  name: 'chat',
  complete: runIds,
  about: { limit: 'how many at most' },
  items: ({ items }) => items.toReversed(),
  columns: {
    TIME: ({ created_at: at }) => moment(at),
    WHO: ({ role, agent_name: agent }) => agent ?? role,
    SAYS: ({ content }) => content,
  },
})

const say = row('jobs', runs.postRunChat, {
  name: 'say',
  args: ['content'],
  complete: runIds,
  hide: ['job_id', 'agent_id', 'agent_name'],
  said: () => 'Said.',
})

const remove = row('jobs', runs.deleteRun, {
  name: 'delete',
  aliases: ['rm'],
  complete: runIds,
  confirm: ({ args }) => `Delete run ${args.one('id')}, its steps and timeline?`,
  said: () => 'Deleted.',
})

export const runGroup: Group = {
  name: 'run',
  aliases: ['runs'],
  summary: 'Runs of workflows',
  commands: [
    list,
    get,
    watch,
    timeline,
    whyOf('run', runIds),
    rerun,
    decide('approve'),
    decide('reject'),
    chat,
    say,
    cancel,
    remove,
  ],
}
