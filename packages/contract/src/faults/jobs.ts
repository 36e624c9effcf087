/** Conditions of the jobs surface alone. */
export const jobsFaults = {} as const
