import { traces } from '@wheelhouse/contract/jobs/traces'
import { type Bound, serve } from '../../kernel/http/index.ts'
import { traceRecord } from '../jobs/render.ts'
import { findTrace } from '../jobs/tables.ts'

/** jobs.md §6. */
export const routes = (): Bound[] =>
  serve('jobs', traces, {
    async getTrace({ tx, params }) {
      return (await findTrace(tx, params.id)).map(traceRecord)
    },
  })
