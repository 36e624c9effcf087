export { type Lock, type Locks, lockColumns, type LockMode, lockTask, openLocks } from './locks.ts'
