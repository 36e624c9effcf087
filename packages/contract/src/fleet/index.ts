/** The areas of the fleet surface, one file each. */
export const fleet = {} as const
