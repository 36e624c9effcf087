import { expect, test } from 'vitest'
import { killCampaign } from '../../campaigns/kill.ts'

// The long form is `npm run campaign -- kill`; docs/reliability.md has its figures.
test('eight kills at moments that the seed chose lose nothing and need no hand', async () => {
  const { kills, findings } = await killCampaign({ kills: 8, seed: 46 })
  expect(findings.violations).toEqual([])
  expect(Object.values(kills)).not.toContain(0)
  expect(findings.jobs).toBeGreaterThan(50)
  expect(findings.commands).toBeGreaterThan(10)
}, 180_000)
