import type { ApprovalItem, JobDetail } from '../../api/wire.ts'
import { topicWords } from '../jobs/job-state.ts'

/** What is asked, as one line: the command itself where there is one, else the topic. */
export function askWords(item: Pick<ApprovalItem, 'job'>): string {
  return topicWords(item.job.topic)
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

/** What speaks for care: the risk tags of the job, in words. */
export function riskWords(job: Pick<JobDetail, 'risk_tags'> | { risk_tags?: string[] | null }): string {
  const tags = job.risk_tags ?? []
  return tags.length === 0 ? 'no risk tag' : tags.join(', ')
}
