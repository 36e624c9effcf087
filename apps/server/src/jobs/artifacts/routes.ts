import { Fault } from '@wheelhouse/contract'
import { jobs } from '@wheelhouse/contract/jobs/index'
import { serve } from '../../kernel/http/index.ts'
import { type Retention, RETENTIONS } from '../../kernel/artifacts/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'

const refused = (message: string): Fault => new Fault('VAL_SCHEMA', {}, { message })

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** Standard base64 with its padding; line breaks within it are ignored, as the reference does. */
function decoded(text: string): Buffer {
  const plain = /[\r\n]/.test(text) ? text.replace(/[\r\n]/g, '') : text
  if (!BASE64.test(plain)) throw refused('invalid base64 content')
  return Buffer.from(plain, 'base64')
}

/** The id in an artifact's pointer; what points elsewhere is refused (jobs.md §14, fixes). */
function artifactId(pointer: string): string {
  const trimmed = pointer.trim()
  if (trimmed === '') throw refused('artifact pointer required')
  // Proxies join the two slashes of a pointer that came unencoded.
  const id = /^(?:redis:\/{1,2})?art:([0-9A-Za-z-]{1,64})$/.exec(trimmed)?.[1]
  if (id === undefined) throw refused('invalid artifact pointer')
  return id
}

const pointerOf = (id: string): string => `redis://art:${id}`

const isRetention = (word: string): word is Retention => (RETENTIONS as readonly string[]).includes(word)

function callersBound(query: number | undefined, header: string | undefined): number | undefined {
  if (query !== undefined) return query
  return header !== undefined && /^[1-9]\d{0,14}$/.test(header.trim()) ? Number(header) : undefined
}

/** jobs.md §14. */
export const routes = ({ artifacts }: Kernel) =>
  serve('jobs', jobs.artifacts, {
    async putArtifact({ principal, query, body, request, audit }) {
      const { content_base64 = '', content: text = '', content_type, retention = '', labels } = body
      const content = content_base64 === '' ? Buffer.from(text) : decoded(content_base64)
      if (content.length === 0) throw refused('content required')
      const maxBytes = callersBound(query.max_bytes, request.header('x-max-artifact-bytes'))
      const made = await artifacts.put(principal, {
        content,
        retention: isRetention(retention) ? retention : 'standard',
        ...(content_type === undefined ? {} : { contentType: content_type }),
        ...(labels === undefined ? {} : { labels }),
        ...(maxBytes === undefined ? {} : { maxBytes }),
      })
      audit({ resourceId: made.id, after: { sha256: made.sha256, sizeBytes: made.sizeBytes } })
      return { artifact_ptr: pointerOf(made.id), size_bytes: made.sizeBytes }
    },

    async getArtifact({ principal, params }) {
      const { artifact, content } = await artifacts.read(principal.tenantId, artifactId(params.ptr))
      return {
        artifact_ptr: pointerOf(artifact.id),
        content_base64: content.toString('base64'),
        metadata: {
          ...(artifact.contentType === '' ? {} : { content_type: artifact.contentType }),
          size_bytes: artifact.sizeBytes,
          retention: artifact.retention,
          labels: artifact.labels,
        },
      }
    },
  })
