import { approvals } from './approvals.ts'
import { jobs as work } from './jobs.ts'
import { stream } from './stream.ts'
import { traces } from './traces.ts'

/** The areas of the jobs surface, one file each. */
export const jobs = { jobs: work, approvals, stream, traces } as const
