/** The areas of the native surface, one file each. */
export const native = {} as const
