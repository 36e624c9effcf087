import { once } from 'node:events'
import { create, type DescFile, type DescService, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { nestedTypes } from '@bufbuild/protobuf/reflect'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import { type ServerDuplexStream, status, type UntypedServiceImplementation } from '@grpc/grpc-js'
import {
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from '@wheelhouse/contract/proto/reflection_pb'
import { endWith, type Ground } from './definition.ts'

type Reply = MessageInitShape<typeof ServerReflectionResponseSchema>['messageResponse']

const refused = (errorCode: status, errorMessage: string): Reply => ({
  case: 'errorResponse',
  value: { errorCode, errorMessage },
})

/** The reflection service of gRPC over generated descriptors: names of services, and the files that describe a symbol. */
export function reflection(
  services: readonly DescService[],
  { stopping }: Pick<Ground, 'stopping'>,
): UntypedServiceImplementation {
  const files = withImports(services.map(({ file }) => file))
  const byName = new Map(files.map((file) => [file.proto.name, file]))
  const bySymbol = new Map(files.flatMap((file) => symbolsOf(file).map((symbol) => [symbol, file] as const)))

  function described(file: DescFile | undefined, asked: string): Reply {
    if (!file) return refused(status.NOT_FOUND, `${asked} is not known`)
    const fileDescriptorProto = withImports([file]).map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto))
    return { case: 'fileDescriptorResponse', value: { fileDescriptorProto } }
  }

  function answer({ messageRequest: asked }: ServerReflectionRequest): Reply {
    switch (asked.case) {
      case 'listServices':
        return {
          case: 'listServicesResponse',
          value: { service: services.map(({ typeName }) => ({ name: typeName })) },
        }
      case 'fileByFilename':
        return described(byName.get(asked.value), asked.value)
      case 'fileContainingSymbol':
        return described(bySymbol.get(asked.value), asked.value)
      case 'allExtensionNumbersOfType':
        // proto3 messages have no extensions.
        return bySymbol.has(asked.value)
          ? { case: 'allExtensionNumbersResponse', value: { baseTypeName: asked.value } }
          : refused(status.NOT_FOUND, `${asked.value} is not known`)
      case 'fileContainingExtension':
        return refused(status.NOT_FOUND, `${asked.value.containingType} has no such extension`)
      default:
        return refused(status.INVALID_ARGUMENT, 'nothing was asked')
    }
  }

  return {
    async serverReflectionInfo(call: ServerDuplexStream<ServerReflectionRequest, ServerReflectionResponse>) {
      endWith(stopping, call)
      try {
        for await (const request of call as AsyncIterable<ServerReflectionRequest>) {
          const reply = create(ServerReflectionResponseSchema, {
            validHost: request.host,
            originalRequest: request,
            messageResponse: answer(request),
          })
          if (!call.write(reply)) await once(call, 'drain')
        }
        call.end()
      } catch {
        // The caller went away in the middle of its questions.
        call.destroy()
      }
    },
  }
}

/** The files with all that they import, each once. */
function withImports(files: readonly DescFile[]): DescFile[] {
  const found = new Set<DescFile>()
  const visit = (file: DescFile): void => {
    if (found.has(file)) return
    found.add(file)
    file.dependencies.forEach(visit)
  }
  files.forEach(visit)
  return [...found]
}

const symbolsOf = (file: DescFile): string[] =>
  [...nestedTypes(file)].flatMap((type) => [
    type.typeName,
    ...(type.kind === 'service' ? type.methods.map(({ name }) => `${type.typeName}.${name}`) : []),
  ])
