import { Fault } from '@wheelhouse/contract'
import { native } from '@wheelhouse/contract/native/index'
import { type Bound, serve } from '../../kernel/http/index.ts'
import { jobsOf, MOST_JOBS, partsOf } from './tables.ts'
import { waterfall } from './waterfall.ts'

/** The waterfall of a trace. */
export const routes = (): Bound[] =>
  serve('native', native.traces, {
    async traceSpans({ tx, params }) {
      const rows = await jobsOf(tx, params.id)
      if (rows.length === 0) throw new Fault('RES_NOT_FOUND', { kind: 'trace', id: params.id })
      const jobs = rows.slice(0, MOST_JOBS)
      const parts = await partsOf(
        tx,
        jobs.map(({ id }) => id),
      )
      return waterfall(params.id, { jobs, ...parts }, rows.length > MOST_JOBS)
    },
  })
