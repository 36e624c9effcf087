import { native } from '@wheelhouse/contract/native/index'
import { serve } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'

/** Probes of whoever runs us (product.md, native conventions). */
export const routes = ({ readiness }: Kernel) =>
  serve('native', native.health, {
    livez: () => ({ status: 'ok' as const }),
    async readyz({ reply, request }) {
      const reasons = request.signal.aborted ? ['shutting down'] : [...(await readiness.reasons())]
      if (reasons.length > 0) reply.status(503)
      return { ready: reasons.length === 0, reasons }
    },
  })
