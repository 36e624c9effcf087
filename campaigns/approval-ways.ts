/** Ways to get something done that was not approved like this, and (first) the honest ones that keep the campaign from proving nothing. */
export const WAYS = [
  'approved by another',
  'approved by the asker where the rule allows it',
  'approved by the role that the rule names',
  'approved by two of two',
  'asker',
  'asker through somebody else',
  'for whom somebody else asked',
  'other tenant',
  'no right to decide',
  'ended credential',
  'role that the rule does not name',
  'one person as two',
  'expired',
  'approval replayed',
  'approved after a rejection',
  'approved after a cancellation',
  'changed before the approval',
  'changed after the approval',
  'other arguments under the same key',
  'context pointer overwritten',
  'race of two approvers',
  'race of approval and rejection',
  'race of approval and cancellation',
  'policy now denies',
  'policy now names a role',
  'policy now wants two',
  'policy now allows',
  'policy changes in the very moment',
  'policy denies between approval and dispatch',
  'policy asks for more between approval and dispatch',
  'policy stays between approval and dispatch',
] as const
export type Way = (typeof WAYS)[number]

export const WORKER_ALONE = new Set<Way>([
  'context pointer overwritten',
  'other arguments under the same key',
  'for whom somebody else asked',
])

/** The label by which a wave's policy finds the jobs that it changes its mind about. */
export const AFTER: Partial<Record<Way, string>> = {
  'policy now denies': 'deny',
  'policy now names a role': 'role',
  'policy now wants two': 'two',
  'policy now allows': 'allow',
  'policy changes in the very moment': 'deny',
  'policy denies between approval and dispatch': 'deny',
  'policy asks for more between approval and dispatch': 'role',
  'policy stays between approval and dispatch': 'stay',
}

export const GATES: Partial<Record<Way, string>> = {
  'approved by the asker where the rule allows it': 'self',
  'approved by the role that the rule names': 'role',
  'role that the rule does not name': 'role',
  'approved by two of two': 'two',
  'one person as two': 'two',
}
