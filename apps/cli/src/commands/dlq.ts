import { contract } from '@wheelhouse/contract'
import { age } from '../cells.ts'
import type { Command, Group } from '../command.ts'
import { row } from '../row.ts'
import { bulkRow } from './bulk.ts'

const { dlq } = contract.jobs
const { bulk } = contract.native

const letters: NonNullable<Command['complete']> = async ({ client }) => {
  const { items } = await client.jobs.dlq.pageDeadLetters({ query: { limit: 50 } })
  return items.map(({ job_id: id, reason_code: code, topic }) => [id, `${topic ?? ''} ${code ?? ''}`] as const)
}

const list = row('jobs', dlq.pageDeadLetters, {
  name: 'list',
  aliases: ['ls'],
  summary: 'Jobs that ended without success, newest first',
  rename: { reason_code: 'reason' },
  about: {
    limit: 'how many at most',
    cursor: 'where to go on, as the last page said',
    reason_code: 'a reason code, such as timeout',
  },
  items: ({ items }) => items,
  columns: {
    JOB: ({ job_id: id }) => id,
    TOPIC: ({ topic }) => topic,
    STATUS: ({ status }) => (status ?? '').replace('JOB_STATUS_', ''),
    REASON: ({ reason_code: code }) => code,
    MESSAGE: ({ reason }) => reason,
    TRIES: ({ attempts }) => attempts,
    AGE: ({ created_at: at }) => age(at),
  },
  id: ({ job_id: id }) => id,
  said: ({ next_cursor: next, items }) => (next && items.length > 0 ? `More with --cursor ${next}` : ''),
})

const retry = row('jobs', dlq.retryDeadLetter, {
  name: 'retry',
  complete: letters,
  said: ({ job_id: id }) => `Submitted again as ${id}. Follow it: wheelhouse job watch ${id}`,
  columns: { JOB: ({ job_id: id }) => id },
  id: ({ job_id: id }) => id,
})

const remove = row('jobs', dlq.deleteDeadLetter, {
  name: 'delete',
  aliases: ['rm'],
  complete: letters,
  confirm: ({ args }) => `Remove the dead letter of ${args.one('job_id')}? The job stays.`,
  said: () => 'Removed.',
})

export const dlqGroup: Group = {
  name: 'dlq',
  aliases: ['dead'],
  summary: 'Dead letters: jobs that ended without success',
  commands: [
    list,
    retry,
    remove,
    bulkRow('retry-all', bulk.retryDeadLetters, 'Submit all again that match, after a count'),
    bulkRow('delete-all', bulk.deleteDeadLetters, 'Remove all that match, after a count'),
  ],
}
