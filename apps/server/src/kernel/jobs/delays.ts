// When a job that cannot go now is looked at again (jobs.md 17.2).

/** No workers, overload, tenant limit. */
export const AGAIN_MS = 2000
/** Throttled: policy is asked anew. */
export const THROTTLE_MS = 5000
/** While no policy is loaded it is looked for more often. */
export const UNDECIDED_MS = 1000
