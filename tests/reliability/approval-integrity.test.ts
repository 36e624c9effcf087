import { expect, test } from 'vitest'
import { integrityCampaign, judge } from '../../campaigns/approval-integrity.ts'

// The long form is `npm run campaign -- approval-integrity`; docs/reliability.md has its figures.
test('nothing is executed that was not exactly approved, and what was approved is executed once', async () => {
  const { violations, tried, attempts, performed } = await integrityCampaign({ attempts: 200, seed: 46 })
  expect(violations).toEqual([])
  expect(attempts).toBe(200)
  expect(performed).toBeGreaterThan(40)
  expect(Object.keys(tried).length).toBeGreaterThan(25)
}, 60_000)

test('the judgement sees every way to be wrong', () => {
  const made = { way: 'w', digest: 'd', jobId: '' }
  const cases = [
    { ...made, jobId: 'never', fate: 'never' },
    { ...made, jobId: 'twice', fate: 'either' },
    { ...made, jobId: 'other', fate: 'runs' },
    { ...made, jobId: 'lost', fate: 'runs' },
    { ...made, jobId: 'right', fate: 'runs' },
    { ...made, jobId: 'open', fate: 'either' },
  ] as const
  const performed = new Map([
    ['never', ['d']],
    ['twice', ['d', 'd']],
    ['other', ['e']],
    ['right', ['d']],
    ['unknown', ['d']],
  ])
  expect(judge(cases, performed)).toEqual([
    'w: job never was performed',
    'w: job twice was performed 2 times',
    'w: job other was performed with other arguments',
    'job unknown was performed and nobody asked for it',
    'w: job lost was approved and not performed',
  ])
})
