import { create, type DescMessage } from '@bufbuild/protobuf'
import { Client, credentials, Metadata, status } from '@grpc/grpc-js'
import { BUILT_IN_ROLES, type Permission } from '../packages/contract/src/index.ts'
import { CordumApi } from '../packages/contract/src/proto/api_pb.ts'
import { ContextEngine } from '../packages/contract/src/proto/context_pb.ts'
import { SafetyKernel } from '../packages/contract/src/proto/safety_pb.ts'
import { openGrpc } from '../apps/server/src/composition.ts'
import { definitionOf } from '../apps/server/src/jobs/grpc/definition.ts'
import type { World } from '../apps/server/src/testing/world.ts'
import type { Cell } from './authorization-model.ts'
import type { BadCredential } from './authorization-credentials.ts'
import { mayKey } from './authorization-model.ts'

interface Method {
  localName: string
  name: string
  input: DescMessage
}

/** jobs.md §30 with what its HTTP twins ask for. */
const SERVICES: readonly {
  service: typeof CordumApi | typeof SafetyKernel | typeof ContextEngine
  rights: Readonly<Record<string, Permission>>
}[] = [
  { service: CordumApi, rights: { submitJob: 'job:submit', getJobStatus: 'job:read' } },
  {
    service: SafetyKernel,
    rights: {
      check: 'policy:read',
      evaluate: 'policy:read',
      explain: 'policy:read',
      simulate: 'policy:read',
      listSnapshots: 'policy:read',
    },
  },
  { service: ContextEngine, rights: { buildWindow: 'memory:read', updateMemory: 'worker:connect' } },
]

/** Every method for every role, with the other tenant named, and with bad credentials. The listener ends with the process's world. */
export async function grpcCells(
  world: World,
  bad: readonly BadCredential[],
): Promise<{ cells: Cell[]; last: Cell[]; close(): Promise<void> }> {
  const server = openGrpc(world.kernel, world.http)
  const port = await server.listen('127.0.0.1', 0)
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure())
  const cells: Cell[] = []
  /** Who may cross tenants really does something there. */
  const last: Cell[] = []

  for (const { service, rights } of SERVICES) {
    const definition = definitionOf(service)
    for (const { localName, name, input } of service.methods as readonly Method[]) {
      const permission = rights[localName]
      const what = definition[localName]
      if (!permission || !what) throw new Error(`It is not said who may call ${name}`)
      const call = (metadata: Metadata, message: object = {}): Promise<status> =>
        new Promise((resolve) => {
          const known = new Set(input.fields.map((field) => field.localName))
          const fitting = Object.fromEntries(Object.entries(message).filter(([key]) => known.has(key)))
          client.makeUnaryRequest(
            what.path,
            what.requestSerialize,
            what.responseDeserialize,
            create(input, fitting),
            metadata,
            { deadline: Date.now() + 10_000 },
            (error) => resolve(error?.code ?? status.OK),
          )
        })
      const withKey = (key: string, more: Record<string, string> = {}): Metadata => {
        const metadata = new Metadata()
        metadata.set('x-api-key', key)
        for (const [header, value] of Object.entries(more)) metadata.set(header, value)
        return metadata
      }
      const open = (code: status): boolean =>
        ![
          status.UNAUTHENTICATED,
          status.PERMISSION_DENIED,
          status.UNIMPLEMENTED,
          status.INTERNAL,
          status.DEADLINE_EXCEEDED,
        ].includes(code)
      for (const role of BUILT_IN_ROLES) {
        const may = mayKey(role, permission)
        cells.push({
          kind: 'gRPC, own tenant',
          async ask() {
            const code = await call(withKey(world.a.keys[role]), { prompt: 'x', jobId: 'nothing', topic: 'job.grpc' })
            const right = may ? open(code) : code === status.PERMISSION_DENIED
            return right ? [] : [`${service.typeName}/${name} as ${role}: ${status[code]}, ${may ? 'may' : 'may not'}`]
          },
        })
        const crosses = role === 'platform-admin'
        ;(crosses ? last : cells).push({
          kind: 'gRPC, other tenant',
          async ask() {
            const metadata = withKey(world.a.keys[role], { 'x-tenant-id': world.b.slug })
            const code = await call(metadata, { jobId: 'nothing', topic: 'job.grpc' })
            const right = crosses ? code !== status.UNAUTHENTICATED : code === status.PERMISSION_DENIED
            return right ? [] : [`${service.typeName}/${name} as ${role} for the other tenant: ${status[code]}`]
          },
        })
      }
      for (const { kind, headers = {}, query, surfaces } of bad) {
        if (surfaces || query !== undefined || headers['cookie'] !== undefined) continue
        cells.push({
          kind: 'gRPC, bad credential',
          async ask() {
            const metadata = new Metadata()
            for (const [header, value] of Object.entries(headers)) metadata.set(header, value)
            const code = await call(metadata)
            return code === status.UNAUTHENTICATED ? [] : [`${service.typeName}/${name} with ${kind}: ${status[code]}`]
          },
        })
      }
    }
  }
  return {
    cells,
    last,
    async close() {
      client.close()
      await server.close()
    },
  }
}
