import { health } from './health.ts'

/** The areas of the native surface, one file each. */
export const native = { health } as const
