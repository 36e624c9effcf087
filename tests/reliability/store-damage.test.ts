import { expect, test } from 'vitest'
import { damageCampaign } from '../../campaigns/store-damage.ts'

// The long form is `npm run campaign -- store-damage`; docs/reliability.md has its figures.
test('a JetStream store that is deleted or damaged while stopped loses nothing: all is driven again from PostgreSQL', async () => {
  const { turns, findings } = await damageCampaign({ turns: 4, seed: 46, jobs: 60 })
  expect(findings.violations).toEqual([])
  expect(new Set(turns.map(({ how }) => how))).toEqual(new Set(['deleted', 'flipped']))
  expect(turns.some(({ undelivered }) => undelivered > 0)).toBe(true)
  expect(findings.jobs).toBeGreaterThanOrEqual(240)
}, 120_000)
