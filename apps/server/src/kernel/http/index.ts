export { type Answered, type Call, callEndpoint } from './call.ts'
export {
  type Bound,
  type Context,
  type EventStream,
  type RawReply,
  type ReplyControls,
  type RequestFacts,
  serve,
  type Upgraded,
} from './context.ts'
export { cookieOf, type Gate, type TokenAuthority } from './credentials.ts'
export { type Dialect, pageCount, type RenderFacts } from './dialect.ts'
export { type Edge } from './edge.ts'
export { openLimits, type Limits } from './limits.ts'
export { nativeDialect } from './native-dialect.ts'
export { openOrigins, type Origins } from './origins.ts'
export { originOf } from './own-origin.ts'
export { buildHttp, type HttpOptions, type HttpServer } from './server.ts'
export { validate } from './validate.ts'
export { openWatch } from './watch.ts'
