/** The areas of the platform surface, one file each. */
export const platform = {} as const
