/** The areas of the jobs surface, one file each. */
export const jobs = {} as const
