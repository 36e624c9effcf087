/** Conditions of the native surface alone. */
export const nativeFaults = {} as const
