import { afterAll, beforeAll, expect, test } from 'vitest'
import { openRuns, type Runs } from '../testing/runs.ts'
import { isYes } from './yes.ts'

let runs: Runs
beforeAll(async () => {
  runs = await openRuns()
})
afterAll(() => runs.close())

test('a word for yes counts whatever its letters, and with blanks around it; anything else is no', () => {
  for (const word of ['1', 'true', 'YES', ' y ', '\tOn\n']) expect(isYes(word), word).toBe(true)
  for (const word of [undefined, '', ' ', '0', 'no', 'off', 'false', 'yes please'])
    expect(isYes(word), word).toBe(false)
})

test('every query that takes a yes takes the same words', async () => {
  const workflow = await runs.save({ ask: { type: 'approval' } })
  const run = await runs.start(workflow, {}, '?dry_run=%20Yes%20')
  expect(await runs.get(run)).toMatchObject({ status: 'succeeded', dry_run: true })
  await runs.world.publish('default', 'default_decision: deny\nrules:\n  - {id: ask, decision: require_approval}\n')
  const job = (await runs.call('POST', '/api/v1/jobs', { prompt: 'x', topic: 'job.nobody' })).body.job_id
  const other = await runs.world.person(runs.world.a, 'other')
  expect((await runs.call('POST', `/api/v1/approvals/${job}/approve`, {}, other)).status).toBeLessThan(300)
  const listed = async (query: string): Promise<string[]> =>
    (await runs.call('GET', `/api/v1/approvals${query}`)).body.items.map((item: { job_id: string }) => item.job_id)
  expect(await listed('')).not.toContain(job)
  expect(await listed('?include_resolved=%20On%20')).toContain(job)
})
