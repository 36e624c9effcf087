import { Fault } from '@wheelhouse/contract'
import type { WhatIfBody } from '@wheelhouse/contract/native/policy'
import type { Tx } from '../../kernel/db/index.ts'
import {
  compileSet,
  getCapture,
  listDocuments,
  type PolicySource,
  SETTINGS_ID,
  settingsContent,
  type Snapshot,
} from '../../kernel/policy/index.ts'

type Draft = NonNullable<WhatIfBody['draft']>

/**
 * The policy that a draft would put in force: the stored bundles (or those of a capture) with some of them replaced, enabled
 * or left out, and the default decision turned. Throws RES_NOT_FOUND for a bundle or capture that is not there, VAL_SCHEMA for
 * content that does not compile and for a draft of nothing.
 */
export async function compileDraftSet(tx: Tx, draft: Draft): Promise<Snapshot> {
  const sources = new Map<string, PolicySource>()
  const stored =
    draft.capture === undefined
      ? await listDocuments(tx)
      : Object.entries((await getCapture(tx, draft.capture)).bundles).map(([id, bundle]) => ({ ...bundle, id }))
  for (const { id, content, enabled } of stored) sources.set(id, { id, content, enabled })
  for (const { id, content, enabled = true } of draft.bundles ?? []) {
    const text = content ?? sources.get(id)?.content
    if (text === undefined) throw new Fault('RES_NOT_FOUND', { kind: 'bundle', id }, { message: 'bundle not found' })
    sources.set(id, { id, content: text, enabled })
  }
  if (draft.defaultDecision !== undefined)
    sources.set(SETTINGS_ID, { id: SETTINGS_ID, content: settingsContent(draft.defaultDecision), enabled: true })
  const snapshot = compileSet([...sources.values()])
  if (snapshot) return snapshot
  const message = 'The draft leaves no enabled bundle: no policy would be loaded, and every job would wait'
  throw new Fault('VAL_SCHEMA', {}, { message })
}
