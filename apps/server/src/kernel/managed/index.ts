export type { ManagedAgent } from './agent.ts'
export { keepSecret, writeDurably } from './data-folder.ts'
export { startManaged, type Managed } from './managed.ts'
export type { ChildStatus } from './supervise.ts'
