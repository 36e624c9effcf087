const YES = new Set(['1', 'true', 'yes', 'y', 'on'])

/** jobs.md §1.6: booleans of queries and forms. */
export const isYes = (text: string | undefined): boolean => text !== undefined && YES.has(text.trim().toLowerCase())
