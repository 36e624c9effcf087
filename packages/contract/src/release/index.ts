/** The areas of the release surface, one file each. */
export const release = {} as const
