import type { InboxItem } from '@wheelhouse/contract/native/inbox'
import { count, instant, span } from '../../ui/age.ts'
import type { Status } from '../../ui/status.tsx'
import { topicWords } from '../jobs/job-state.ts'

/** What is asked, as one line: the topic of a job, workflow and step of a run. */
export function askWords(item: Pick<InboxItem, 'kind' | 'title'>): string {
  return item.kind === 'job' ? topicWords(item.title) : item.title
}

type Members = Readonly<Record<string, unknown>>
const members = (value: unknown): Members | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : undefined

/** The exact arguments of a job: the input inside the stored context where it has one, else all of the context. */
export function exactArguments(context: unknown): unknown {
  const outer = members(context)
  if (!outer) return context
  return outer['context'] ?? outer['input'] ?? outer
}

/** What of a request must be read before it is decided: what it was told, the arguments, and what a person is to give. */
export function shownOf(item: Pick<InboxItem, 'kind' | 'show'>): {
  arguments: unknown
  prompt: string | undefined
  instructions: string | undefined
  /** A step that asks for a value, with the schema that it must fit. */
  form: boolean
  schema: unknown
} {
  const show = members(item.show) ?? {}
  const input = show['input']
  const text = (value: unknown) => (typeof value === 'string' && value.trim() !== '' ? value : undefined)
  const job = item.kind === 'job'
  const inner = job ? exactArguments(input) : input
  return {
    arguments: inner,
    // Where the arguments are all of the context, the prompt stands in them.
    prompt: job && inner !== input ? text(members(input)?.['prompt']) : undefined,
    instructions: text(show['instructions']),
    form: item.kind === 'step' && show['kind'] === 'form',
    schema: show['schema'] ?? undefined,
  }
}

/** A shell command among the arguments, as it will be run. */
export function commandOf(args: unknown): string | undefined {
  const input = members(args)
  const command = input?.['command'] ?? input?.['script']
  if (typeof command !== 'string') return undefined
  const rest = input?.['args']
  const words = Array.isArray(rest) ? rest.filter((word): word is string => typeof word === 'string') : []
  if (/(^|\/)(ba)?sh$/.test(command) && words[0] === '-c' && words[1] !== undefined) return words[1]
  return [command, ...words].join(' ')
}

/** What the arguments name as reached: instances, one or many. */
export function reachedOf(args: unknown): string[] {
  const input = members(args)
  const many = input?.['instanceIds']
  if (Array.isArray(many)) return many.filter((each): each is string => typeof each === 'string')
  const one = input?.['instanceId'] ?? input?.['instance_id'] ?? input?.['target']
  return typeof one === 'string' ? [one] : []
}

/** What speaks for care: the risk tags, in words. */
export function riskWords(tags: readonly string[]): string {
  return tags.length === 0 ? 'no risk tag' : tags.join(', ')
}

/** `1 of 2 approvals`; nothing where one is enough. */
export function voteWords({ votes, required }: Pick<InboxItem, 'votes' | 'required'>): string {
  return required <= 1 ? '' : `${count(votes)} of ${count(required)} approvals`
}

/** Until when it can be decided: `18 min left`; nothing where it does not end. */
export function leftWords(item: Pick<InboxItem, 'expiresAt'>, now: number): string {
  const until = instant(item.expiresAt)
  if (until === undefined) return ''
  return until <= now ? 'expired' : `${span(until - now)} left`
}

/** Why several requests cannot be approved with one press, or nothing when they are the same to the letter. */
export function bulkRefusal(items: readonly Pick<InboxItem, 'hash' | 'show' | 'kind'>[]): string | undefined {
  if (items.some((item) => shownOf(item).form)) return 'A request that asks for a value is decided by itself.'
  return new Set(items.map(({ hash }) => hash)).size > 1
    ? 'They ask for different things. Read and approve each by itself.'
    : undefined
}

const ENDED: Record<InboxItem['state'], { status: Status; word: string }> = {
  open: { status: 'waiting', word: 'Waits' },
  approved: { status: 'ok', word: 'Approved' },
  rejected: { status: 'denied', word: 'Rejected' },
  expired: { status: 'off', word: 'Expired' },
  withdrawn: { status: 'off', word: 'Withdrawn' },
}

/** How a request is, in the vocabulary. */
export const askState = (state: InboxItem['state']): { status: Status; word: string } => ENDED[state]
