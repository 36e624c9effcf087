import { Type } from 'typebox'
import { area } from '../endpoint.ts'
import { Labels } from '../schemas.ts'
import { Text } from './shapes.ts'

const group = 'Artifacts'

/** Base64 in JSON is held in memory several times over, so this door is narrower than the store behind it. */
const BODY_BYTES = 64 * 1024 * 1024

/** jobs.md §14. */
export const artifacts = area({
  putArtifact: {
    method: 'POST',
    path: '/api/v1/artifacts',
    group,
    summary: 'Stores a blob and answers with its pointer',
    permission: 'artifact:create',
    rate: 'jobs-tenant',
    transaction: 'none',
    bodyLimitBytes: BODY_BYTES,
    query: Type.Object({ max_bytes: Type.Optional(Type.Integer({ minimum: 1 })) }),
    body: Type.Object({
      content_base64: Type.Optional(Type.String({ maxLength: BODY_BYTES })),
      content: Type.Optional(Type.String({ maxLength: BODY_BYTES })),
      content_type: Type.Optional(Text(256)),
      retention: Type.Optional(Text(32)),
      labels: Type.Optional(Labels),
    }),
    reply: Type.Object({ artifact_ptr: Type.String(), size_bytes: Type.Integer() }),
    faults: ['VAL_BODY_TOO_LARGE'],
  },
  getArtifact: {
    method: 'GET',
    path: '/api/v1/artifacts/{ptr}',
    group,
    summary: 'A blob and what is known of it',
    permission: 'artifact:read',
    rate: 'jobs-tenant',
    transaction: 'none',
    params: Type.Object({ ptr: Type.String({ maxLength: 512 }) }),
    reply: Type.Object({
      artifact_ptr: Type.String(),
      content_base64: Type.String(),
      metadata: Type.Object({
        content_type: Type.Optional(Type.String()),
        size_bytes: Type.Optional(Type.Integer()),
        retention: Type.Optional(Type.String()),
        labels: Type.Optional(Labels),
      }),
    }),
    faults: ['RES_NOT_FOUND'],
  },
})
