import type { FastifyInstance } from 'fastify'
import type { Metrics } from './metrics.ts'

/** Counts every answered request of a declared endpoint. Streams are left out: they last as long as their caller likes. */
export function countRequests(app: FastifyInstance, metrics: Metrics): void {
  app.addHook('onResponse', async (request, reply) => {
    const bound = request.passage?.bound
    if (!bound || bound.endpoint.kind === 'sse') return
    metrics.request({
      surface: bound.surface,
      method: request.method,
      route: bound.endpoint.path,
      status: reply.statusCode,
      seconds: reply.elapsedTime / 1000,
    })
  })
}
