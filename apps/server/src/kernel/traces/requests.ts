import type { FastifyInstance } from 'fastify'
import type { Clock } from '../clock/index.ts'
import type { Tracer } from './tracer.ts'

/** Records a span of each answered request of a declared endpoint. Streams are left out: they last as long as their caller likes. */
export function traceRequests(app: FastifyInstance, tracer: Tracer, clock: Clock): void {
  if (!tracer.on) return
  app.addHook('onResponse', async (request, reply) => {
    const { passage } = request
    if (!passage || passage.bound.endpoint.kind === 'sse') return
    const { facts, bound, principal } = passage
    const end = clock.now()
    tracer.record({
      context: facts,
      ...(facts.parentSpanId === undefined ? {} : { parentSpanId: facts.parentSpanId }),
      name: `${request.method} ${bound.endpoint.path}`,
      kind: 'server',
      start: end - reply.elapsedTime,
      end,
      ...(reply.statusCode >= 500 ? { failed: String(reply.statusCode) } : {}),
      attributes: {
        'http.request.method': request.method,
        'http.route': bound.endpoint.path,
        'url.path': facts.path,
        'http.response.status_code': reply.statusCode,
        'wheelhouse.surface': bound.surface,
        'wheelhouse.request.id': facts.id,
        ...(principal ? { 'wheelhouse.tenant.id': principal.tenantId, 'wheelhouse.principal.id': principal.id } : {}),
      },
    })
  })
}
