export { mask, record, type AuditEntry } from './record.ts'
