import { Fault } from '@wheelhouse/contract'
import { native } from '@wheelhouse/contract/native/index'
import { type Context, serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { follow } from './follow.ts'
import { whereIs } from './record.ts'

/** Live output of jobs, for CLI and console. */
export const routes = (kernel: Kernel) =>
  serve('native', native.jobOutput, {
    // The context stays whole: its stream opens with the first touch, and a job that is not there is refused before that.
    async streamJobOutput(context: Context<typeof native.jobOutput.streamJobOutput>) {
      const { principal, params, query, request, now } = context
      const { tenantId } = principal
      if (!(await kernel.db.tenant(tenantId, (tx) => whereIs(tx, params.id, now))))
        throw new Fault('JOB_NOT_FOUND', { id: params.id })
      const after = Number(request.header('last-event-id') ?? query.after ?? 0)
      await follow(kernel, tenantId, params.id, Number.isSafeInteger(after) && after > 0 ? after : 0, context.stream)
    },
  })
