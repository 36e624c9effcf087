import { contract } from '@wheelhouse/contract'
import { ApiError } from '@wheelhouse/sdk'
import { age, left } from '../cells.ts'
import type { Command, Group } from '../command.ts'
import { CliError, EXIT } from '../exit.ts'
import type { Flag } from '../flags.ts'
import { row } from '../row.ts'

const { approvals } = contract.jobs

const heldJobs: NonNullable<Command['complete']> = async ({ client }) => {
  const { items } = await client.jobs.approvals.listApprovals({ query: { limit: 50 } })
  return items.map(({ job_id: id, policy_reason: reason }) => [id, reason] as const)
}

const waiting: NonNullable<Command['complete']> = async ({ client }) => {
  const { items } = await client.native.inbox.listInbox({ query: { pageSize: 50 } })
  return items.map(({ id, jobId, title }) => [jobId ?? id, title] as const)
}

const REASONS: readonly Flag[] = [
  { name: 'reason', kind: 'text', value: 'text', summary: 'why; stands in the trail' },
  { name: 'note', kind: 'text', value: 'text', summary: 'a longer note' },
]

const list = row('native', contract.native.inbox.listInbox, {
  name: 'list',
  aliases: ['ls'],
  summary: 'What waits for a decision, newest first: held jobs and steps of runs',
  flags: [{ name: 'all', kind: 'switch', summary: 'also what is decided' }],
  prepare: ({ query }, { flags }) => {
    if (flags.on('all')) query['filter'] ??= JSON.stringify({ createdAt: { $exists: true } })
  },
  columns: {
    ID: ({ jobId, id }) => jobId ?? id,
    KIND: ({ kind }) => kind,
    STATE: ({ state }) => state,
    WHAT: ({ show, title }) => shown(show) ?? title,
    BY: ({ requestedBy: by }) => by,
    RULE: ({ ruleId: rule }) => rule,
    VOTES: ({ votes, required }) => `${votes} of ${required}`,
    AGE: ({ createdAt: at }) => age(at),
    EXPIRES: ({ expiresAt: at }) => (at === null ? 'never' : `in ${left(at)}`),
  },
  id: ({ jobId, id }) => jobId ?? id,
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

/** The same for whatever waits, by the id that the list shows: a job's own, or that of the request of a step. */
function decideAny(name: 'approve' | 'reject'): Command {
  const job = decide(name)
  const valueFlag: Flag = { name: 'value', kind: 'text', value: 'json', summary: 'the value that a form step asks for' }
  return {
    ...job,
    args: ['id'],
    complete: waiting,
    flags: [...REASONS, ...(name === 'approve' ? [valueFlag] : [])],
    async run(call) {
      const { args, flags, signal, voice } = call
      const { client } = call.session()
      const id = args.one('id')
      const { items } = await client.native.inbox.listInbox({ query: { pageSize: 100 }, signal })
      const item = items.find((each) => each.id === id || each.jobId === id)
      const words = {
        ...(flags.text('reason') === undefined ? {} : { reason: flags.text('reason') ?? '' }),
        ...(flags.text('note') === undefined ? {} : { note: flags.text('note') ?? '' }),
      }
      const value = flags.text('value')
      const { hash, ...found } = item ?? (await client.native.inbox.getInboxItem({ params: { id }, signal }))
      const vote = { params: { id: found.id }, signal }
      const { state, votes, required } =
        name === 'approve'
          ? await client.native.inbox.approve({
              ...vote,
              body: { hash, ...words, ...(value === undefined ? {} : { value: JSON.parse(value) as unknown }) },
            })
          : await client.native.inbox.reject({ ...vote, body: { hash, ...words } })
      if (state === 'open') voice.say(`Voted: ${votes} of ${required}.`)
      else if (state === 'approved' && found.jobId)
        voice.say(`Approved. Follow it: wheelhouse job watch ${found.jobId}`)
      else voice.say(`${found.title} is ${state}.`)
    },
  }
}

export const approvalGroup: Group = {
  name: 'approval',
  aliases: ['approvals', 'inbox'],
  summary: 'What waits for a decision',
  commands: [list, decideAny('approve'), decideAny('reject')],
}
