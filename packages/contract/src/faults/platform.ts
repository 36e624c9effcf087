/** Conditions of the platform surface alone. */
export const platformFaults = {} as const
