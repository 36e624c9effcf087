import { health } from './health.ts'
import { jobOutput } from './job-output.ts'

/** The areas of the native surface, one file each. */
export const native = { health, jobOutput } as const
