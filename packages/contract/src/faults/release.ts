/** Conditions of the release surface alone. */
export const releaseFaults = {} as const
