import { AUDIT_ACTIONS, type AuditAction } from '@wheelhouse/contract/fleet/words'

/** What the fleet document calls the second half of our verbs (unification §10). What is not here, the fleet does not show. */
const WORDS: Readonly<Record<AuditAction, readonly string[]>> = {
  CREATE: [
    'create',
    'save',
    'register',
    'submit',
    'add',
    'upload',
    'install',
    'enrol',
    'import',
    'mint',
    'backup',
    'invite',
    'acquire',
    'start',
    'chat',
  ],
  UPDATE: [
    'update',
    'write',
    'patch',
    'set',
    'enable',
    'disable',
    'rotate',
    'resolve',
    'acknowledge',
    'freeze',
    'thaw',
    'publish',
    'change',
    'limit',
    'renew',
    'password',
  ],
  DELETE: ['delete', 'deregister', 'remove', 'revoke', 'uninstall', 'release'],
  LOGIN: ['login'],
  LOGOUT: ['logout'],
  DEPLOY: ['deploy', 'redeploy', 'clone', 'provision', 'rollback'],
  DESTROY: ['destroy'],
  SUSPEND: ['suspend', 'pause', 'drain'],
  RESUME: ['resume', 'undrain'],
  EXECUTE: [
    'execute',
    'script',
    'bulk',
    'bulk-action',
    'run',
    'trigger',
    'approve',
    'reject',
    'decide',
    'cancel',
    'retry',
    'test',
    'rerun',
    'remediate',
    'stop',
    'verify',
    'bulk-cancel',
    'bulk-retry',
    'bulk-replay',
    'bulk-delete',
  ],
  CONNECT: ['connect', 'open'],
  DISCONNECT: ['disconnect', 'close'],
  PERMISSION_CHANGE: ['assign', 'unassign', 'grant', 'permission', 'bind', 'unbind'],
  TEAM_ADD: ['member-add'],
  TEAM_REMOVE: ['member-remove'],
}

const byWord = new Map(AUDIT_ACTIONS.flatMap((action) => WORDS[action].map((word) => [word, action] as const)))

/** The words of one action, or of all that the fleet shows. */
export const wordsOf = (action?: AuditAction): string[] => (action ? [...WORDS[action]] : [...byWord.keys()])

/** The action of a verb such as `instance.register`; undefined where the fleet has no word for it. */
export const actionOf = (verb: string): AuditAction | undefined => byWord.get(verb.split('.')[1] ?? '')
