import { expect, test } from 'vitest'
import { fuzzCampaign } from '../../campaigns/fuzz.ts'

// The long form is `npm run campaign -- fuzz`; docs/reliability.md has its figures.
test('no endpoint meets a defect, a reply outside its schema or a hang, whoever asks it whatever', async () => {
  const { violations, requests, endpoints, answers } = await fuzzCampaign({ seed: 46, runs: 4 })
  expect(violations).toEqual([])
  expect(endpoints).toBeGreaterThan(150)
  expect(requests).toBeGreaterThan(4000)
  expect(answers['2xx']).toBeGreaterThan(1000)
}, 90_000)
