export { mask, record, type AuditEntry } from './record.ts'
export { openTrail, type Trail, type Verdict } from './trail.ts'
