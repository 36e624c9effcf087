export type { ManagedAgent } from './agent.ts'
export { keepSecret, prepareDataFolder, writeDurably } from './data-folder.ts'
export { startManaged, type Managed } from './managed.ts'
export type { ChildStatus } from './supervise.ts'
