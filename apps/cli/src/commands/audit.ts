import { contract } from '@wheelhouse/contract'
import { moment } from '../cells.ts'
import type { Group } from '../command.ts'
import { EXIT } from '../exit.ts'
import { row } from '../row.ts'

const list = row('fleet', contract.fleet.audit.listAudit, {
  name: 'list',
  aliases: ['ls'],
  summary: 'Who did what, newest first',
  rename: { user_id: 'user', team_id: 'team', resource_id: 'id' },
  about: { from: 'since then (RFC 3339)', to: 'until then' },
  columns: {
    TIME: ({ timestamp }) => moment(timestamp),
    WHO: ({ userName, userEmail, userId }) => userName ?? userEmail ?? userId,
    ACTION: ({ action }) => action,
    RESOURCE: ({ resource }) => resource,
    ID: ({ resourceId }) => resourceId,
    FROM: ({ ipAddress }) => ipAddress,
  },
  id: ({ id }) => id,
  examples: [
    'wheelhouse audit list --action EXECUTE --limit 20',
    'wheelhouse audit list --resource instance --id my-host',
  ],
})

const { verify: whole, verifyRow } = contract.native.trail

const verify = row('native', whole, {
  name: 'verify',
  summary: 'Recompute the hash chain from its first row; exits 1 when it is broken',
  columns: {
    Intact: ({ intact }) => (intact ? 'yes' : 'NO'),
    Rows: ({ rows }) => rows,
    'Breaks at': ({ broken }) => (broken ? `row ${broken.seq} (${broken.reason})` : ''),
    Checkpoints: ({ checkpoints, signedTo }) => `${checkpoints}, signed up to row ${signedTo}`,
    'Last hash': ({ lastHash }) => lastHash,
  },
  code: ({ intact }) => (intact ? EXIT.ok : EXIT.failed),
})

const prove = row('native', verifyRow, {
  name: 'prove',
  summary: 'Where one row stands in the chain, and which signed checkpoint covers it',
  columns: {
    Valid: ({ valid }) => (valid ? 'yes' : 'NO'),
    Row: ({ seq }) => seq,
    Hash: ({ hash }) => hash,
    Checkpoint: ({ checkpoint }) =>
      checkpoint ? `row ${checkpoint.seq}, ${moment(checkpoint.at)}, key ${checkpoint.keyId}` : 'none yet',
    Reason: ({ reason }) => reason,
  },
  code: ({ valid }) => (valid ? EXIT.ok : EXIT.failed),
})

export const auditGroup: Group = {
  name: 'audit',
  summary: 'The trail of what was done, and its proof',
  commands: [list, verify, prove],
}
