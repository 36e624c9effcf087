import type { Instant } from '../clock/index.ts'
import type { Tx } from '../db/index.ts'
import { SETTINGS_ID } from './compile.ts'
import type { Policy } from './language.ts'
import { deleteDocument, putDocument, raiseRevision } from './store.ts'

/** What happens when no rule matches (jobs.md 20.3 step 3: allow, where nobody says otherwise). */
export type DefaultDecision = NonNullable<Policy['defaultDecision']>

/** The file that the switch writes: read before every other, and without rules, so that it decides nothing else. */
export function settingsContent(decision: DefaultDecision): string {
  return `# What happens when no rule matches: allow, deny or require_approval. Written by the policy settings, not by hand;
# it goes before what bundles say.
default_decision: ${decision}
`
}

/**
 * Turns the default decision of the transaction's tenant; null takes the switch away, so that the bundles say it again.
 * `revision` is what the writer has read; another one throws RES_VERSION_CONFLICT. Part of the tenant's set of documents: captured, rolled back and in force like them.
 */
export async function putDefaultDecision(
  tx: Tx,
  now: Instant,
  decision: DefaultDecision | null,
  author: string,
  revision?: number,
): Promise<void> {
  if (revision !== undefined) await raiseRevision(tx, tx.tenantId, now, revision)
  if (decision === null) await deleteDocument(tx, now, SETTINGS_ID)
  else {
    const message = 'The switch for what no rule matches'
    await putDocument(tx, now, { id: SETTINGS_ID, content: settingsContent(decision), enabled: true, author, message })
  }
}
