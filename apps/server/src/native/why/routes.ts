import { Fault } from '@wheelhouse/contract'
import { native } from '@wheelhouse/contract/native/index'
import { serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { whyJob } from './job.ts'

/** Explains any job (product.md). */
export const routes = (kernel: Kernel) =>
  serve('native', native.why, {
    async whyJob({ tx, params }) {
      const why = await whyJob(kernel, tx, params.id)
      if (!why) throw new Fault('JOB_NOT_FOUND', { id: params.id })
      return why
    },
  })
