/** Conditions of the jobs surface alone. */
export const jobsFaults = {
  CONFIG_CONFLICT: { status: 412, title: 'The document was changed by someone else; read it again' },
  PACK_LOCKED: { status: 409, title: 'global pack lock held' },
  QUEUE_FULL: { status: 429, title: 'Too many jobs of this topic wait already' },
  RUN_LIMIT: { status: 429, title: 'max concurrent runs reached' },
  WORKFLOW_INVALID: { status: 400, title: 'The definition cannot run' },
} as const
