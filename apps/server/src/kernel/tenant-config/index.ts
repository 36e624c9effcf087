export { type ConfigPlace, openTenantConfig, type TenantConfig } from './config.ts'
export { type Data, type Document, findDocument, scopeOf, writeDocument } from './documents.ts'
export { type Effective, maxConcurrentRuns } from './merge.ts'
export type { PoolConfig, Routing, TimeoutConfig } from './routing.ts'
