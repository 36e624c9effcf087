import { readFileSync } from 'node:fs'
import { isIPv6 } from 'node:net'
import { Server, ServerCredentials } from '@grpc/grpc-js'
import { Fault } from '@wheelhouse/contract'
import { ServerReflection as AlphaReflection } from '@wheelhouse/contract/proto/alpha_pb'
import { CordumApi } from '@wheelhouse/contract/proto/api_pb'
import { ContextEngine } from '@wheelhouse/contract/proto/context_pb'
import { Health } from '@wheelhouse/contract/proto/health_pb'
import { ServerReflection } from '@wheelhouse/contract/proto/reflection_pb'
import { SafetyKernel } from '@wheelhouse/contract/proto/safety_pb'
import { pause } from '../../kernel/clock/index.ts'
import type { HttpServer } from '../../kernel/http/index.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { contextEngine } from './context.ts'
import { definitionOf } from './definition.ts'
import { health } from './health.ts'
import { reflection } from './reflection.ts'
import { cordumApi, safetyKernel } from './services.ts'

export interface GrpcServer {
  /** Returns the port that was taken. Throws with `code: 'EADDRINUSE'` and the port where another program has it. */
  listen(host: string, port: number): Promise<number>
  /** Takes no more calls, lets running ones end, and cuts off what has not after a while. */
  close(): Promise<void>
}

/** As POST /api/v1/jobs, the largest body of what is served here. */
const MAX_MESSAGE_BYTES = 2 * 1024 * 1024
const CLOSE_WITHIN_MS = 4000

/** The gRPC listener of the jobs surface (jobs.md §30), behind the same edge as its HTTP endpoints. */
export function openGrpc(
  { config, log, readiness }: Pick<Kernel, 'config' | 'log' | 'readiness'>,
  { edge, bound }: Pick<HttpServer, 'edge' | 'bound'>,
): GrpcServer {
  const stopping = new AbortController()
  const server = new Server({
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_concurrent_streams': 1000,
  })
  const ground = { log, stopping: stopping.signal }
  const door = { ...ground, edge, bound }
  const services = [CordumApi, SafetyKernel, ContextEngine, Health, ServerReflection, AlphaReflection]
  const reflected = reflection(services, ground)
  const names = services.map(({ typeName }) => typeName)
  server.addService(definitionOf(CordumApi), cordumApi(door))
  server.addService(definitionOf(SafetyKernel), safetyKernel(door))
  server.addService(definitionOf(ContextEngine), contextEngine(door))
  server.addService(definitionOf(Health), health(readiness, names, ground))
  server.addService(definitionOf(ServerReflection), reflected)
  server.addService(definitionOf(ServerReflection, AlphaReflection.typeName), reflected)

  return {
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        const address = `${isIPv6(host) ? `[${host}]` : host}:${port}`
        server.bindAsync(address, credentialsOf(config.grpcTls), (error, taken) => {
          if (!error) return resolve(taken)
          const isTaken = error.message.includes('EADDRINUSE')
          reject(
            isTaken
              ? Object.assign(new Error(`Port ${port} is in use`, { cause: error }), { code: 'EADDRINUSE', port })
              : error,
          )
        })
      }),
    async close() {
      stopping.abort(new Fault('SYS_SHUTTING_DOWN'))
      const closed = new AbortController()
      const orderly = new Promise<void>((resolve) => server.tryShutdown(() => resolve()))
      // Streams of watchers, and calls that are never finished, would hold the stop for ever.
      const late = pause(CLOSE_WITHIN_MS, closed.signal).then(
        () => server.forceShutdown(),
        () => undefined,
      )
      await Promise.race([orderly, late])
      closed.abort()
    },
  }
}

/** TLS where a certificate is set (jobs.md §30), plain text else. */
function credentialsOf({ cert, key }: { cert?: string; key?: string }): ServerCredentials {
  if (cert === undefined || key === undefined) return ServerCredentials.createInsecure()
  return ServerCredentials.createSsl(null, [{ cert_chain: readFileSync(cert), private_key: readFileSync(key) }])
}
