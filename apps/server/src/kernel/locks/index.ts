export { type Lock, type Locks, type LockMode, lockTask, openLocks } from './locks.ts'
