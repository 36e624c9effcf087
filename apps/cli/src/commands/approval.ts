import { contract } from '@wheelhouse/contract'
import { ApiError } from '@wheelhouse/sdk'
import { age, instant } from '../cells.ts'
import type { Command, Group } from '../command.ts'
import { CliError, EXIT } from '../exit.ts'
import { row } from '../row.ts'

const { approvals } = contract.jobs

const heldJobs: NonNullable<Command['complete']> = async ({ client }) => {
  const { items } = await client.jobs.approvals.listApprovals({ query: { limit: 50 } })
  return items.map(({ job_id: id, policy_reason: reason }) => [id, reason] as const)
}

const list = row('jobs', approvals.listApprovals, {
  name: 'list',
  aliases: ['ls'],
  summary: 'What waits for a decision, newest first',
  hide: ['include_resolved'],
  flags: [{ name: 'all', kind: 'switch', summary: 'also what is decided' }],
  prepare: ({ query }, { flags }) => {
    if (flags.on('all')) query['include_resolved'] = 'true'
  },
  about: { limit: 'how many at most', cursor: 'where to go on' },
  items: ({ items }) => items,
  columns: {
    JOB: ({ job_id: id }) => id,
    STATE: ({ state }) => state,
    WHAT: ({ show, job }) => shown(show) ?? job.topic,
    BY: ({ requested_by: by }) => by,
    RULE: ({ policy_rule_id: rule }) => rule,
    VOTES: ({ votes, required }) => `${votes} of ${required}`,
    AGE: ({ requested_at: at }) => age(at),
    EXPIRES: ({ expires_at: at }) => (at === null ? 'never' : `in ${age(2 * Date.now() - (instant(at) ?? 0))}`),
  },
  id: ({ job_id: id }) => id,
})

/** What would run, from what approvers are shown. */
function shown(show: unknown): string | undefined {
  const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))
  if (typeof show !== 'object' || show === null) return undefined
  const { command, facts, input } = show as Record<string, unknown>
  const members = (value: unknown) =>
    typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  const line = command ?? members(facts)['command'] ?? members(input)['command']
  return line === undefined ? undefined : text(line)
}

/** A vote for or against a held job, bound to exactly what was shown. */
export function decide(name: 'approve' | 'reject'): Command {
  const vote = row('jobs', approvals[`${name}Job`], {
    name,
    complete: heldJobs,
    about: { reason: 'why; stands in the trail', note: 'a longer note' },
    said: (_, { args }) =>
      name === 'approve'
        ? `Approved. Follow it: wheelhouse job watch ${args.one('job_id')}`
        : `Rejected ${args.one('job_id')}; it ends as denied.`,
  })
  return {
    ...vote,
    run: async (call) => {
      try {
        return await vote.run(call)
      } catch (error) {
        // This surface tells by its text alone what was wrong (jobs.md 1.3).
        if (error instanceof ApiError && error.status === 403 && error.message.includes('yourself'))
          throw new CliError(EXIT.denied, error.message, 'Another person must decide: the rule asks for a second one.')
        throw error
      }
    },
  }
}

export const approvalGroup: Group = {
  name: 'approval',
  aliases: ['approvals', 'inbox'],
  summary: 'What waits for a decision',
  commands: [list, decide('approve'), decide('reject')],
}
