import { Fault } from '@wheelhouse/contract'
import { type Instant, iso } from '../../kernel/clock/index.ts'
import type { Tx } from '../../kernel/db/index.ts'
import {
  BASE_ID,
  capturedDocument,
  DEFAULT_POLICY_ID,
  deleteDocument,
  listDocuments,
  type PolicyDocument,
  policyRevision,
  putDocument,
  raiseRevision,
  SETTINGS_ID,
} from '../../kernel/policy/index.ts'
import type { Data } from '../../kernel/tenant-config/index.ts'
import { isYes } from '../yes.ts'

/** The document whose key `bundles` is the tenant's policy (jobs.md 20.4): one thing under two doors. */
export const POLICY_ID = 'policy'

/**
 * What a tenant begins with is no fragment but its base: it stands beside the bundles, as the base file of the reference does. So it is
 * not shown among them, and stays where a writer does not name it; the default file is replaced by who names it.
 */
const BESIDE = new Set([BASE_ID, DEFAULT_POLICY_ID, SETTINGS_ID])
const isFragment = ({ id }: { id: string }): boolean => !BESIDE.has(id)

/** The bundles as a configuration document; undefined when there are none. */
export async function readPolicyDocument(tx: Tx) {
  const revision = await policyRevision(tx)
  const fragments = (await listDocuments(tx)).filter(isFragment)
  if (fragments.length === 0) return undefined
  return {
    scope: 'system' as const,
    scope_id: POLICY_ID,
    data: { bundles: Object.fromEntries(fragments.map((each) => [each.id, capturedDocument(each)])) },
    revision,
    updated_at: iso(Math.max(...fragments.map(({ updatedAt }) => updatedAt))),
  }
}

/** What a writer says of one bundle; absent members keep their value. */
interface Fragment {
  id: string
  content: string
  enabled: boolean
  author?: string
  message?: string
  version?: string
  installedAt?: Instant
}

const refuse = (message: string): never => {
  throw new Fault('VAL_SCHEMA', {}, { message })
}

function fragmentOf(id: string, written: unknown): Fragment | undefined {
  if (id === '' || id.length > 200 || id === BASE_ID || id === SETTINGS_ID)
    return refuse(`policy bundle "${id}" is not written here`)
  if (typeof written === 'string') return written.trim() === '' ? undefined : { id, content: written, enabled: true }
  if (typeof written !== 'object' || written === null)
    return refuse(`policy bundle ${id}: write YAML, or {content: YAML}`)
  const { content, policy, data, enabled = true, ...more } = written as Record<string, unknown>
  const text = [content, policy, data].find((each) => typeof each === 'string')
  if (typeof text !== 'string') return refuse(`policy bundle ${id}: write YAML, or {content: YAML}`)
  // Empty ones count as if they were not there (jobs.md 20.4).
  if (text.trim() === '') return undefined
  const installedAt = typeof more['installed_at'] === 'string' ? Date.parse(more['installed_at']) : Number.NaN
  return {
    id,
    content: text,
    enabled: typeof enabled === 'string' ? isYes(enabled) : enabled !== false,
    ...textMember('author', more['author']),
    ...textMember('message', more['message']),
    ...textMember('version', more['version']),
    ...(Number.isNaN(installedAt) ? {} : { installedAt }),
  }
}

const textMember = <K extends string>(name: K, value: unknown): { [P in K]?: string } =>
  typeof value === 'string' ? ({ [name]: value.slice(0, 2000) } as { [P in K]?: string }) : {}

/** Puts the set of bundles to what is written: others go, equal ones stay untouched. Returns the ids that changed. */
export async function writePolicyDocument(
  tx: Tx,
  now: Instant,
  { data, expected }: { data: Data; expected?: number | undefined },
): Promise<string[]> {
  const { bundles = {}, ...more } = data
  const [unknown] = Object.keys(more)
  if (unknown !== undefined) refuse(`system/policy has the one key bundles, not "${unknown}"`)
  if (typeof bundles !== 'object' || bundles === null || Array.isArray(bundles))
    return refuse('system/policy: write {bundles: {id: {content: YAML}}}')
  const wanted = Object.entries(bundles)
    .map(([id, each]) => fragmentOf(id, each))
    .filter((each) => each !== undefined)
  await raise(tx, now, expected)
  const stored = new Map((await listDocuments(tx)).map((each) => [each.id, each]))
  const changed: string[] = []
  for (const fragment of wanted) {
    const known = stored.get(fragment.id)
    stored.delete(fragment.id)
    if (known && isEqual(known, fragment)) continue
    await putDocument(tx, now, fragment)
    changed.push(fragment.id)
  }
  for (const id of [...stored.keys()].filter((each) => isFragment({ id: each }))) {
    await deleteDocument(tx, now, id)
    changed.push(id)
  }
  return changed
}

async function raise(tx: Tx, now: Instant, expected: number | undefined): Promise<void> {
  try {
    await raiseRevision(tx, tx.tenantId, now, expected)
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'RES_VERSION_CONFLICT') throw error
    throw new Fault('CONFIG_CONFLICT', { expected }, { message: error.message, cause: error })
  }
}

const isEqual = (
  known: PolicyDocument,
  { content, enabled, author, message, version, installedAt }: Fragment,
): boolean =>
  known.content === content &&
  known.enabled === enabled &&
  known.author === (author ?? known.author) &&
  known.message === (message ?? known.message) &&
  known.version === (version ?? known.version) &&
  known.installedAt === (installedAt ?? known.installedAt)
