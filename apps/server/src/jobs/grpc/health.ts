import { create } from '@bufbuild/protobuf'
import { type ServerWritableStream, status, type UntypedServiceImplementation } from '@grpc/grpc-js'
import {
  Health,
  type HealthCheckRequest,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus as Serving,
  HealthCheckResponseSchema,
} from '@wheelhouse/contract/proto/health_pb'
import type { Readiness } from '../../kernel/readiness/index.ts'
import { endWith, type Ground, Refusal, unary } from './definition.ts'

/** The health service of gRPC: every service serves as long as this replica is ready. No credential is asked for. */
export function health(
  readiness: Readiness,
  services: readonly string[],
  ground: Ground,
): UntypedServiceImplementation {
  const { stopping } = ground
  const isKnown = (service: string): boolean => service === '' || services.includes(service)
  const current = async (): Promise<Serving> =>
    !stopping.aborted && (await readiness.reasons()).length === 0 ? Serving.SERVING : Serving.NOT_SERVING

  return {
    check: unary(Health.method.check, ground, async ({ service }) => {
      if (!isKnown(service)) throw new Refusal(status.NOT_FOUND, 'unknown service')
      return { status: await current() }
    }),
    watch(call: ServerWritableStream<HealthCheckRequest, HealthCheckResponse>) {
      let last: Serving | undefined
      const tell = (now: Serving): void => {
        if (now !== last && call.writable) call.write(create(HealthCheckResponseSchema, { status: now }))
        last = now
      }
      if (!isKnown(call.request.service)) {
        endWith(stopping, call)
        return tell(Serving.SERVICE_UNKNOWN)
      }
      endWith(stopping, call, () => tell(Serving.NOT_SERVING))
      const look = (): void => void current().then(tell, () => tell(Serving.NOT_SERVING))
      call.once('close', readiness.onChange(look))
      look()
    },
  }
}
