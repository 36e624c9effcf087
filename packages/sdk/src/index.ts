export * from './agent-protocol.ts'
export { ApiError } from './api-error.ts'
export { readEvents, type ServerEvent } from './event-stream.ts'
export {
  type Client,
  type ClientOptions,
  createClient,
  type EventOptions,
  type Exchange,
  type Input,
  type ListReply,
  type RawAnswer,
  type RawOptions,
  type Reply,
} from './client.ts'
