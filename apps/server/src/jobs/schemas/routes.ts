import { Fault } from '@wheelhouse/contract'
import { jobs } from '@wheelhouse/contract/jobs/index'
import { iso } from '../../kernel/clock/index.ts'
import { serve } from '../../kernel/http/index.ts'
import { deleteSchema, findSchema, listSchemas, putSchema } from '../../kernel/schemas/index.ts'
import { capped } from '../moments.ts'

/** jobs.md §12: a registry of JSON Schemas. */
export const routes = () =>
  serve('jobs', jobs.schemas, {
    async putSchema({ tx, body, now, audit }) {
      const { id = '', schema } = body
      const sha256 = await putSchema(tx, now, id.trim(), schema)
      audit({ resourceId: id, after: { sha256 } })
      return {}
    },
    async listSchemas({ tx, query }) {
      const entries = await listSchemas(tx, capped(query.limit ?? 100))
      return {
        schemas: entries.map(({ id }) => id),
        items: entries.map(({ id, sha256, updatedAt }) => ({ id, sha256, updated_at: iso(updatedAt) })),
      }
    },
    async getSchema({ tx, params }) {
      const found = await findSchema(tx, params.id)
      if (!found) throw new Fault('RES_NOT_FOUND', { id: params.id }, { message: 'schema not found' })
      return { id: params.id, schema: found.schema as boolean | Record<string, unknown> }
    },
    async deleteSchema({ tx, params }) {
      await deleteSchema(tx, params.id)
      return {}
    },
  })
