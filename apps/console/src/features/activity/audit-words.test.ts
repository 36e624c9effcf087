import { expect, test } from 'vitest'
import type { AuditEntry } from '../../api/wire.ts'
import { auditWords } from './audit-words.ts'

const entry = (changes: Partial<AuditEntry>): AuditEntry => ({
  id: '1',
  userId: 'u',
  userEmail: null,
  userName: 'Olga',
  action: 'SUSPEND',
  resource: 'instance',
  resourceId: 'edge-1',
  metadata: null,
  ipAddress: null,
  timestamp: '2026-11-22T14:00:00Z',
  ...changes,
})

test('a row reads as a sentence', () => {
  expect(auditWords(entry({}))).toEqual({ status: 'ok', who: 'Olga', did: 'suspended', what: 'instance', id: 'edge-1' })
})
test('a denial is told as one', () => {
  expect(auditWords(entry({ metadata: { outcome: 'denied' } }))).toMatchObject({
    status: 'denied',
    did: 'was denied: suspended',
  })
})
test('without a user it was the system', () => {
  expect(auditWords(entry({ userId: null, userName: null, action: 'NEW_THING' }))).toMatchObject({
    who: 'the system',
    did: 'new thing',
  })
})
test('results that workers keep and sessions are told in the words of people', () => {
  const kept = auditWords(entry({ action: 'UPDATE', resource: 'memory', resourceId: 'res:01a2:build@1' }))
  expect(kept).toMatchObject({ did: 'stored', what: 'the result of job', id: '01a2:build@1' })
  const note = auditWords(entry({ action: 'UPDATE', resource: 'memory', resourceId: 'notes' }))
  expect(note).toMatchObject({ did: 'changed', what: 'memory', id: 'notes' })
  expect(auditWords(entry({ action: 'CREATE', resource: 'session' })).did).toBe('signed in,')
  expect(auditWords(entry({ action: 'CREATE', metadata: { verb: 'instance.register' } })).did).toBe('registered')
})
