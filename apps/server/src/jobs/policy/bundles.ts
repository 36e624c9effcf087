import { Fault } from '@wheelhouse/contract'
import { iso } from '../../kernel/clock/index.ts'
import {
  BASE_ID,
  type CapturedDocument,
  capturedDocument,
  documentTag,
  type PolicyCapture,
  type PolicyDocument,
} from '../../kernel/policy/index.ts'

const OWN = /^secops\/[\w.@:+-][\w.@:+/-]*$/

/** jobs.md §10: `~` stands for `/` in the ids that callers write. */
export const writtenId = (id: string): string => id.trim().replaceAll('~', '/')

/** The bundle that a call is about: the query overrides the path. Throws VAL_SCHEMA without an id. */
export function bundleId(params: { id: string }, query: { bundle_id?: string | undefined }): string {
  const id = writtenId(query.bundle_id ?? params.id)
  if (id === '') throw new Fault('VAL_SCHEMA', {}, { message: 'bundle id required' })
  return id
}

/** People write bundles under `secops/` alone; the others belong to packs and to the installation. */
export function requireOwn(id: string): void {
  if (!id.startsWith('secops/')) throw new Fault('VAL_SCHEMA', {}, { message: 'bundle id must start with secops/' })
  if (id.length > 200 || !OWN.test(id)) {
    const message = 'bundle id must be secops/ and a name of letters, digits and . _ - / : @ +, at most 200 characters'
    throw new Fault('VAL_SCHEMA', {}, { message })
  }
}

const sourceOf = (id: string): 'core' | 'secops' | 'pack' => {
  if (id.startsWith('secops/')) return 'secops'
  return id.includes('/') && id !== BASE_ID ? 'pack' : 'core'
}

export function bundle({ id, content, enabled, author, message, createdAt, updatedAt }: PolicyDocument) {
  return {
    id,
    content,
    enabled,
    ...(author === '' ? {} : { author }),
    ...(message === '' ? {} : { message }),
    created_at: iso(createdAt),
    updated_at: iso(updatedAt),
  }
}

/** The answer of `GET /policy/bundles`. */
export function bundleList(documents: readonly PolicyDocument[]) {
  const newest = Math.max(0, ...documents.map(({ updatedAt }) => updatedAt))
  return {
    bundles: Object.fromEntries(documents.map((each) => [each.id, capturedDocument(each)])),
    items: documents.map((each) => {
      const { content: _, enabled, ...rest } = capturedDocument(each)
      return { id: each.id, enabled, source: sourceOf(each.id), ...rest }
    }),
    updated_at: newest === 0 ? '' : iso(newest),
  }
}

export const snapshotSummary = ({ id, createdAt, note }: Omit<PolicyCapture, 'bundles'>) => ({
  id,
  created_at: iso(createdAt),
  ...(note === '' ? {} : { note }),
})

export const snapshot = (
  capture: PolicyCapture,
): ReturnType<typeof snapshotSummary> & {
  bundles: Record<string, CapturedDocument>
} => ({ ...snapshotSummary(capture), bundles: { ...capture.bundles } })

const conflict = (): Fault =>
  new Fault('RES_VERSION_CONFLICT', {}, { message: 'the bundle was changed by someone else; read it again' })

interface Headers {
  header(name: string): string | undefined
}

const tags = (header: string): string[] => header.split(',').map((each) => each.trim().replace(/^W\//, ''))

/** RFC 9110 preconditions of one bundle, to be asked under the lock of its write. Undefined: the writer does not mind. */
export function bundleExpectation(request: Headers): ((known: PolicyDocument | undefined) => void) | undefined {
  const match = request.header('if-match')
  const noneMatch = request.header('if-none-match')
  if (match === undefined && noneMatch === undefined) return undefined
  return (known) => {
    const current = known && `"${documentTag(known)}"`
    const holds = (wanted: string[]): boolean =>
      current !== undefined && (wanted.includes('*') || wanted.includes(current))
    if (match !== undefined && !holds(tags(match))) throw conflict()
    if (noneMatch !== undefined && holds(tags(noneMatch))) throw conflict()
  }
}

export const bundleTag = (document: PolicyDocument): string => `"${documentTag(document)}"`
