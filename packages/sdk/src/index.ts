export * from './agent-protocol.ts'
export { ApiError } from './api-error.ts'
export {
  type Client,
  type ClientOptions,
  createClient,
  type Input,
  type ListReply,
  type RawAnswer,
  type RawOptions,
  type Reply,
} from './client.ts'
