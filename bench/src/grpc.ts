import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { Client, credentials, Metadata } from '@grpc/grpc-js'
import { CordumApi } from '@wheelhouse/contract/proto/api_pb'
import type { Ground } from './ground.ts'
import { many, perThing, used, usedText } from './load.ts'
import { type Figure, perSecond } from './report.ts'

const CALLERS = 500
const JOBS = 15_000

/** SubmitJob over gRPC beside the same over REST. */
export async function grpcFigures(ground: Ground, restPerSecond: number): Promise<Figure[]> {
  const { submitJob } = CordumApi.method
  const client = new Client(ground.grpc, credentials.createInsecure())
  const metadata = new Metadata()
  metadata.set('x-api-key', ground.apiKey)
  const submit = (n: number): Promise<void> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        `/${CordumApi.typeName}/${submitJob.name}`,
        (message: { n: number }) =>
          Buffer.from(
            toBinary(
              submitJob.input,
              create(submitJob.input, { prompt: `work ${message.n}`, topic: 'job.bench.submit' }),
            ),
          ),
        (bytes: Buffer) => fromBinary(submitJob.output, bytes),
        { n },
        metadata,
        (error) => (error ? reject(error) : resolve()),
      )
    })
  try {
    await many(64, 2_000, submit)
    const before = await used(ground)
    const rate = await many(CALLERS, JOBS, submit)
    const cpu = perThing(before, await used(ground), JOBS)
    return [
      {
        section: 'Durable submit',
        name: `SubmitJob over gRPC, ${CALLERS} callers on one connection`,
        ours: perSecond(rate),
        beside: `${perSecond(restPerSecond)}: the same over REST`,
        ratio: rate / restPerSecond,
        note: `CPU of one submit over gRPC: ${usedText(cpu)}.`,
      },
    ]
  } finally {
    client.close()
  }
}
