import { expect, test } from 'vitest'
import { openLines } from './engine.ts'

test('a tenant with a hundred thousand runs that wait does not keep another’s first run waiting', () => {
  const lines = openLines()
  for (let n = 0; n < 100_000; n++) lines.add({ tenantId: 'noisy', runId: `run ${n}` })
  lines.add({ tenantId: 'noisy', runId: 'run 0' })
  expect(lines.next()).toEqual({ tenantId: 'noisy', runId: 'run 0' })
  lines.add({ tenantId: 'quiet', runId: 'first' })
  const taken = [lines.next(), lines.next()]
  expect(taken).toContainEqual({ tenantId: 'quiet', runId: 'first' })
  const rest: unknown[] = []
  for (let next = lines.next(); next; next = lines.next()) rest.push(next.runId)
  expect(rest).toHaveLength(99_998)
  expect(rest.at(-1)).toBe('run 99999')
})
